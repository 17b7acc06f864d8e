"""The reliability diagram: well-formed, complete, and where the numbers say."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from etalage.calibrate.picture import BOTTOM, LEFT, RIGHT, TOP, axis_of, picture, small_diagram
from etalage.calibrate.reliability import Bin, reliability

BEFORE = [Bin(0.1, 0.05, 0.02, 0.1, 100), Bin(0.4, 0.2, 0.15, 0.3, 100)]
AFTER = [Bin(0.05, 0.05, 0.02, 0.1, 150), Bin(0.2, 0.22, 0.15, 0.3, 50)]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(before: list[Bin], after: list[Bin]) -> ElementTree.Element:
    return ElementTree.fromstring(picture(before, after))


def test_bins_stand_where_their_rates_say() -> None:
    circles = drawn(BEFORE, AFTER).findall(f"{SVG}circle")
    places = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in circles]
    # the axes end at .4, the largest rate
    expected = [
        (LEFT + (RIGHT - LEFT) * b.predicted / 0.4, BOTTOM - (BOTTOM - TOP) * b.observed / 0.4)
        for b in BEFORE + AFTER
    ]
    assert places == [pytest.approx(place, abs=0.06) for place in expected]
    told = circles[0].findtext(f"{SVG}title")
    assert told == "before: 10.00 % predicted, 5.00 % observed (2.00 to 10.00), 100 impressions"


RARE = [Bin(p, 1.2 * p, p, 1.5 * p, 1000 / p) for p in (0.0005, 0.001, 0.002, 0.004, 0.03, 0.2)]


def test_small_rates_stand_on_log_odds() -> None:
    circles = drawn(RARE, []).findall(f"{SVG}circle")
    across = np.array([float(c.attrib["cx"]) for c in circles])
    log_odds = np.array([np.log(b.predicted / (1 - b.predicted)) for b in RARE])
    assert np.diff(across) / np.diff(log_odds) == pytest.approx(
        np.ptp(across) / np.ptp(log_odds), rel=0.03
    )
    assert np.ptp(across) > 0.8 * (RIGHT - LEFT)
    words = [t.text for t in drawn(RARE, []).findall(f"{SVG}text")]
    assert {"0.1 %", "1 %", "10 %"} <= set(words)


def test_a_mark_without_clicks_stands_on_the_axis() -> None:
    circles = drawn([Bin(1e-4, 0.0, 0.0, 1e-3, 10), *RARE], []).findall(f"{SVG}circle")
    assert float(circles[0].attrib["cy"]) == BOTTOM


def test_a_band_that_tells_nothing_does_not_squeeze_the_others() -> None:
    assert axis_of([AFTER, [Bin(0.1, 0.1, 0.0, 1.0, 2)]]).most == pytest.approx(2 * 0.22)


def test_names_of_small_diagrams_are_escaped_and_cut() -> None:
    panel = small_diagram(BEFORE, AFTER, axis_of([BEFORE, AFTER]), "<i>&" + "long" * 20)
    root = ElementTree.fromstring(panel.svg())
    shown = root.findtext(f"{SVG}text")
    assert shown is not None
    assert shown.startswith("<i>&long")
    assert len(shown) < 30
    assert root.findtext(f"{SVG}title", "").endswith("long" * 20)
    assert len(root.findall(f"{SVG}circle")) == len(BEFORE) + len(AFTER)


def test_both_curves_have_bands_and_mass() -> None:
    root = drawn(BEFORE, AFTER)
    assert len(root.findall(f"{SVG}polygon")) == 2
    heights = [float(r.attrib["height"]) for r in root.findall(f"{SVG}rect")]
    assert [h / max(heights) for h in heights] == pytest.approx([2 / 3, 2 / 3, 1, 1 / 3], abs=0.01)


def test_nothing_leaves_the_frame() -> None:
    y = [0, 1] * 500
    p = [0.999, 0.001] * 500
    for chart in (picture(reliability(p, y), BEFORE), picture(BEFORE, AFTER), picture(RARE, AFTER)):
        for points in re.findall(r'points="([^"]+)"', chart):
            for pair in points.split():
                x, height = map(float, pair.split(","))
                assert LEFT <= x <= RIGHT
                assert TOP <= height <= BOTTOM


@pytest.mark.parametrize(
    ("before", "after"),
    [([], []), (BEFORE[:1], AFTER[:1]), ([Bin(0.0, 0.0, 0.0, 0.0, 9)], []),
     ([Bin(1e-9, 1e-9, 0.0, 2e-9, 10**9)], [Bin(1.0, 1.0, 0.9, 1.0, 1)]),
     ([*RARE, Bin(1.0, 1.0, 1.0, 1.0, 9)], [Bin(0.0, 0.0, 0.0, 0.0, 9), *RARE])],
)  # fmt: skip
def test_odd_bins_are_drawn(before: list[Bin], after: list[Bin]) -> None:
    assert len(drawn(before, after).findall(f"{SVG}circle")) == len(before) + len(after)


def test_the_page_chooses_the_colours() -> None:
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', picture(BEFORE, AFTER)))
    assert all(re.fullmatch(r"none|var\(--(ink|muted|accent|rule), #\w+\)", c) for c in colours)
