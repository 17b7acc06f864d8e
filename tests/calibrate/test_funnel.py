"""Funnel plots: who lies outside, how many would by chance, and where the dots stand."""

from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import chi2

from etalage.calibrate.field_measures import ValueSums, value_sums
from etalage.calibrate.funnel import (
    BOTTOM,
    LEFT,
    NEVER,
    RIGHT,
    TOP,
    Spread,
    chance_to_be_off,
    funnels,
    limits,
)

SVG = "{http://www.w3.org/2000/svg}"


def sums(promised: list[float], clicked: list[float]) -> ValueSums:
    """Of rare clicks."""
    s, y = np.array(promised, dtype=float), np.array(clicked, dtype=float)
    return ValueSums(1000 * s, s, y, s)


def test_limits_are_those_of_a_poisson_mean() -> None:
    y = np.array([0.0, 1.0, 5.0, 40.0, 1000.0])
    low, high = limits(y)
    assert low[1:] == pytest.approx(chi2.ppf(0.025, 2 * y[1:]) / 2, rel=0.02, abs=0.02)
    assert high == pytest.approx(chi2.ppf(0.975, 2 * y + 2) / 2, rel=0.02)


@pytest.mark.parametrize("rate", [0.01, 0.4])
def test_as_many_lie_outside_as_chance_would_put_there(rate: float) -> None:
    rng = np.random.default_rng(0)
    n_rows = rng.integers(1, 2000, 20_000)
    found = sum_of_rows(n_rows, rate, rng.binomial(n_rows, rate))
    spread = Spread.of(found)
    expected = chance_to_be_off(spread.expected).sum()
    assert spread.is_off.sum() == pytest.approx(expected, rel=0.15)
    twice = Spread.of(sum_of_rows(n_rows, rate, rng.binomial(n_rows, 0.5 * rate)))
    assert twice.is_off.sum() > 3 * expected


def sum_of_rows(n_rows: np.ndarray, rate: float, clicked: np.ndarray) -> ValueSums:
    return ValueSums(n_rows, n_rows * rate, clicked, n_rows * rate * (1 - rate))


def test_dots_stand_where_the_numbers_say() -> None:
    names = ["right", "too much", "too little", "no click <b>", "unknown"]
    before = sums([100, 300, 50, 30, 0.2], [100, 100, 150, 0, 0])
    panel, _ = funnels(before, before, names)
    root = ElementTree.fromstring(panel.svg())
    dots = {c.findtext(f"{SVG}title", "").split(":")[0]: c for c in root.findall(f"{SVG}circle")}
    assert set(dots) == set(names)
    up = {name: float(dot.attrib["cy"]) for name, dot in dots.items()}
    assert up["right"] == pytest.approx((TOP + BOTTOM) / 2, abs=0.1)
    assert up["too much"] - up["right"] == pytest.approx(up["right"] - up["too little"], abs=0.2)
    assert up["no click <b>"] == up["unknown"] == NEVER
    outside = {name for name, dot in dots.items() if "accent" in dot.attrib["fill"]}
    assert outside == {"too much", "too little", "no click <b>"}
    assert "3 of 5 values lie outside, 0 would by chance" in {
        t.text for t in root.findall(f"{SVG}text")
    }
    told = dots["too much"].findtext(f"{SVG}title")
    assert told == "too much: 300.0 clicks expected, 100 observed, 300,000 impressions"


def test_a_million_values_make_a_picture_of_some_size_only() -> None:
    rng = np.random.default_rng(0)
    promised = rng.lognormal(0, 2, 300_000)
    before = ValueSums(100 * promised, promised, rng.poisson(promised).astype(float), promised)
    panel, _ = funnels(before, before, ["a"] * len(promised))
    circles = ElementTree.fromstring(panel.svg()).findall(f"{SVG}circle")
    assert len(circles) < 5000
    assert all(LEFT <= float(c.attrib["cx"]) <= RIGHT for c in circles)
    assert all(NEVER <= float(c.attrib["cy"]) <= BOTTOM for c in circles)


def test_certain_and_empty_values_are_borne() -> None:
    codes = np.array([0, 0, 1, 2])
    p, y = np.array([0.0, 0.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0, 0.0])
    found = value_sums(p, y, np.ones(4), codes, 3)
    for panel in funnels(found, found, ["a", "b", "c"]):
        assert "nan" not in panel.svg()
        assert len(ElementTree.fromstring(panel.svg()).findall(f"{SVG}circle")) == 3
