"""The reliability diagram: well-formed, complete, and where the numbers say."""

import re
from xml.etree import ElementTree

import pytest

from etalage.calibrate.picture import BOTTOM, LEFT, RIGHT, TOP, picture
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


def test_both_curves_have_bands_and_mass() -> None:
    root = drawn(BEFORE, AFTER)
    assert len(root.findall(f"{SVG}polygon")) == 2
    heights = [float(r.attrib["height"]) for r in root.findall(f"{SVG}rect")]
    assert [h / max(heights) for h in heights] == pytest.approx([2 / 3, 2 / 3, 1, 1 / 3], abs=0.01)


def test_nothing_leaves_the_frame() -> None:
    y = [0, 1] * 500
    p = [0.999, 0.001] * 500
    for chart in (picture(reliability(p, y), BEFORE), picture(BEFORE, AFTER)):
        for points in re.findall(r'points="([^"]+)"', chart):
            for pair in points.split():
                x, height = map(float, pair.split(","))
                assert LEFT <= x <= RIGHT
                assert TOP <= height <= BOTTOM


@pytest.mark.parametrize(
    ("before", "after"),
    [([], []), (BEFORE[:1], AFTER[:1]), ([Bin(0.0, 0.0, 0.0, 0.0, 9)], []),
     ([Bin(1e-9, 1e-9, 0.0, 2e-9, 10**9)], [Bin(1.0, 1.0, 0.9, 1.0, 1)])],
)  # fmt: skip
def test_odd_bins_are_drawn(before: list[Bin], after: list[Bin]) -> None:
    assert len(drawn(before, after).findall(f"{SVG}circle")) == len(before) + len(after)


def test_the_page_chooses_the_colours() -> None:
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', picture(BEFORE, AFTER)))
    assert all(re.fullmatch(r"none|var\(--(ink|muted|accent|rule), #\w+\)", c) for c in colours)
