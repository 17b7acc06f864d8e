"""The file of pictures: whole, safe, and about the rows it was given."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.browser import chromium, faults

from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.sheet import Field, Judged, Section, as_html, as_svg, sections
from etalage.calibrate.simulated import distorted
from etalage.errors import DataError

EVIL = "<script>alert('x')</script>"
ROWS, _ = distorted(0, n_rows=60_000)
NAMES = [f"{EVIL} {v}" for v in range(2000)]


def shown(**more: object) -> list[Section]:
    fields = {f"site {EVIL}": Field(ROWS.values, NAMES)}
    return sections(sigmoid(ROWS.logits), sigmoid(ROWS.truth), ROWS.clicks, fields, **more)


def test_values_with_most_rows_come_first() -> None:
    (all_rows, largest, funnel) = shown()
    assert [len(part.panels) for part in (all_rows, largest, funnel)] == [2, 8, 2]
    sizes = np.bincount(ROWS.values)
    for panel, v in zip(largest.panels, np.argsort(-sizes, kind="stable"), strict=False):
        assert panel.label.endswith(NAMES[v])
        assert f"{sizes[v]:,} impressions" in panel.body
    share = 100 * np.sort(sizes)[-8:].sum() / sizes.sum()
    assert f"8 of {(sizes > 0).sum():,} values, with {share:.0f} % of" in largest.notes[0]


def test_values_too_small_to_tell_have_no_diagram() -> None:
    few = Field(np.arange(60_000) // 20, [str(v) for v in range(3000)])
    found = sections(sigmoid(ROWS.logits), sigmoid(ROWS.truth), ROWS.clicks, {"user": few})
    assert [part.title for part in found] == ["All rows", "All values of user"]


def test_rows_without_weight_and_values_of_none_are_not_there() -> None:
    weights = (ROWS.values < 5).astype(float)
    kept = ROWS.values < 5
    one = shown(weights=weights)
    other = sections(
        sigmoid(ROWS.logits)[kept], sigmoid(ROWS.truth)[kept], ROWS.clicks[kept],
        {f"site {EVIL}": Field(ROWS.values[kept], NAMES)},
    )  # fmt: skip
    assert as_html("t", one) == as_html("t", other)


def test_clusters_widen_the_bands() -> None:
    again = np.repeat(np.arange(60_000), 3)  # each row three times
    p, q, y = (
        np.asarray(a)[again] for a in (sigmoid(ROWS.logits), sigmoid(ROWS.truth), ROWS.clicks)
    )
    (naive,), (held,) = (sections(p, q, y, {}, clusters=c) for c in (None, again))
    assert height_of_band(held) > 1.5 * height_of_band(naive)
    assert len(held.notes) == len(naive.notes) + 1


def test_a_funnel_of_clusters_leaves_no_more_outside_than_chance() -> None:
    rng = np.random.default_rng(0)
    game = np.repeat(np.arange(8000), 10)  # of 80 teams, each forecast ten times
    p = np.repeat(rng.uniform(0.1, 0.5, 8000), 10)
    won = np.repeat(rng.random(8000), 10) < p
    teams = {"team": Field(game % 80, [str(v) for v in range(80)])}
    naive, held = (sections(p, p, won, teams, clusters=c)[-1] for c in (None, game))
    assert int(naive.panels[0].label.split(": ")[1].split()[0]) > 25
    assert int(held.panels[0].label.split(": ")[1].split()[0]) <= 8
    off = {"team": Field(game % 80, [str(v) for v in range(80)])}
    found = sections(np.where(game % 80 < 10, 0.5 * p, p), p, won, off, clusters=game)[-1]
    assert int(found.panels[0].label.split(": ")[1].split()[0]) >= 10


def test_rows_that_are_clusters_of_their_own_hide_no_value_that_is_wrong() -> None:
    rng = np.random.default_rng(0)
    codes, p = np.repeat(np.arange(5), 20_000), np.full(100_000, 0.01)
    y = (rng.random(100_000) < np.where(codes == 0, 0.03, 0.01)).astype(float)
    parts = (p, p, y, np.ones(100_000))
    plain, held = (
        Judged(*parts, clusters).sums(p, codes, 5) for clusters in (None, np.arange(100_000))
    )
    np.testing.assert_allclose(held.noise, plain.noise, rtol=0.03)


def height_of_band(part: Section) -> float:
    root = ElementTree.fromstring(part.panels[0].svg())
    polygon = root.find("{http://www.w3.org/2000/svg}polygon")
    assert polygon is not None
    ends = [float(pair.split(",")[1]) for pair in polygon.attrib["points"].split()]
    n = len(ends) // 2
    return float(np.mean(np.abs(np.array(ends[:n]) - np.array(ends[n:][::-1]))))


def test_a_missing_value_is_called_so() -> None:
    fields = {"site": Field(np.zeros(60_000, dtype=int), [""])}
    found = sections(sigmoid(ROWS.logits), sigmoid(ROWS.truth), ROWS.clicks, fields)
    assert found[1].panels[0].label == "Reliability of (none)"


@pytest.mark.parametrize("drawn", [as_html, as_svg])
def test_nothing_of_it_runs_or_is_fetched(drawn: object) -> None:
    text = drawn(EVIL, shown())  # type: ignore[operator]
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_picture_holds_every_panel_inside_itself() -> None:
    root = ElementTree.fromstring(as_svg("t", shown()))
    wide, high = map(float, root.attrib["viewBox"].split()[2:])
    panels = root.findall("{http://www.w3.org/2000/svg}svg")
    assert len(panels) == 12
    corners = [tuple(float(p.attrib[k]) for k in ("x", "y", "width", "height")) for p in panels]
    assert all(x + w <= wide and y + h <= high for x, y, w, h in corners)
    for n, (x, y, w, h) in enumerate(corners):
        for x2, y2, _, _ in corners[n + 1 :]:
            assert x2 >= x + w or y2 >= y + h or x2 < x


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_browser_shows_it_whole(width: int, scheme: str, tmp_path: Path) -> None:
    (tmp_path / "t.html").write_text(as_html(EVIL, shown()), encoding="utf-8")
    with chromium(width, scheme) as page:
        found = faults(page)
        page.goto((tmp_path / "t.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("figure > svg").count() == 12
        assert page.title() == EVIL
        assert not found


def test_bad_rows_are_refused() -> None:
    with pytest.raises(DataError, match="2 probabilities but 1 values"):
        sections([0.1, 0.2], [0.1, 0.2], [0, 1], {"a": Field(np.zeros(1, dtype=int), ["x"])})
