"""Calibrators: known truths, monotony, extremes, files, and what is refused."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from etalage.calibrate import Calibrator, Platt, SmoothIsotonic, choose, from_dict
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.isotonic import pool_adjacent_violators
from etalage.errors import BundleError, DataError, NotFittedError

KINDS = [Platt, SmoothIsotonic]


def clicks_of(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(logits)) < sigmoid(logits)).astype(np.int8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_platt_finds_a_straight_distortion(rng: np.random.Generator) -> None:
    truth = rng.normal(-2, 1.5, 50_000)
    found = Platt().fit((truth - 0.7) / 0.4, clicks_of(truth, rng))
    assert found.slope == pytest.approx(0.4, abs=0.01)
    assert found.intercept == pytest.approx(0.7, abs=0.05)


def test_platt_is_logistic_regression_where_targets_are_hard(rng: np.random.Generator) -> None:
    logits = rng.normal(-1, 2, 5000)
    clicks = clicks_of(0.5 * logits + 1, rng)
    peer = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(logits[:, None], clicks)
    ours = Platt().fit(logits, clicks)
    assert ours.slope == pytest.approx(peer.coef_[0, 0], rel=2e-2)
    assert ours.intercept == pytest.approx(peer.intercept_[0], rel=2e-2)


def test_isotonic_finds_a_bent_distortion(rng: np.random.Generator) -> None:
    given_ = rng.normal(0, 1.5, 200_000)
    truth = np.where(given_ < 0, given_ / 3 - 2, 2 * given_ - 2)
    found = SmoothIsotonic().fit(given_, clicks_of(truth, rng))
    x = np.linspace(-2, 2, 41)
    expected = sigmoid(np.where(x < 0, x / 3 - 2, 2 * x - 2))
    assert np.abs(found.probability(x) - expected).max() < 0.04
    assert isinstance(choose(given_, clicks_of(truth, rng), rng), SmoothIsotonic)


def test_few_rows_get_two_numbers(rng: np.random.Generator) -> None:
    logits = rng.normal(0, 1, 300)
    assert isinstance(choose(logits, clicks_of(logits, rng), rng), Platt)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_no_map_reorders(kind: type[Calibrator], data: st.DataObject) -> None:
    values = st.lists(st.floats(-20, 20), min_size=2, max_size=80)
    logits = np.array(data.draw(values))
    clicks = np.array(
        data.draw(st.lists(st.integers(0, 1), min_size=len(logits), max_size=len(logits)))
    )
    fitted = kind().fit(logits, clicks)
    grid = np.linspace(-40, 40, 161)
    p = fitted.probability(grid)
    assert (np.diff(p) >= -1e-15).all()
    assert ((p > 0) & (p < 1)).all()
    again = from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.probability(grid).tolist() == p.tolist()


def test_a_curve_ties_nothing(rng: np.random.Generator) -> None:
    logits = rng.normal(0, 1, 5000)
    curve = SmoothIsotonic().fit(logits, rng.integers(0, 2, 5000))
    assert (np.diff(curve.logit(np.sort(np.unique(logits)))) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_keep_their_probability(kind: type[Calibrator]) -> None:
    p = kind().fit([-1.0, 1.0] * 50, [0, 1] * 50).probability([-1e300, -1e3, 1e3, 1e300])
    assert ((p > 0) & (p < 1)).all()
    straight = Platt.from_dict({"slope": 1, "intercept": 0})
    for logit in (-600.0, -50.0, -3.0):  # exp(l) is the probability to the last digits
        expected = np.exp(logit) / (1 + np.exp(logit))
        assert straight.probability([logit])[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("clicks_fall", [True, False])
def test_platt_keeps_the_order_that_clicks_deny(clicks_fall: bool) -> None:
    logits = np.linspace(-2, 2, 400)
    clicks = (logits < 0) if clicks_fall else np.zeros(400)
    fitted = Platt().fit(logits, clicks)
    p = fitted.probability(logits)
    assert (np.diff(p) > 0).all()
    rate = (clicks.sum() + 1) / 402 if not clicks_fall else 0.5
    np.testing.assert_allclose(p, rate, rtol=0.01, atol=0.003)


def test_logits_that_are_all_alike_get_the_overall_rate() -> None:
    p = Platt().fit([0.1] * 300, [1, 0, 0] * 100).probability([0.1, 0.2])
    np.testing.assert_allclose(p, 1 / 3, atol=2e-3)
    curve = SmoothIsotonic().fit([0.1] * 300, [1, 0, 0] * 100).probability([0.1])
    np.testing.assert_allclose(curve, 1 / 3, atol=2e-3)


@pytest.mark.parametrize("slope", [0.0, 0.4, 2.5])
def test_a_curve_goes_on_as_its_data_does(slope: float, rng: np.random.Generator) -> None:
    logits = rng.normal(0, 1, 50_000)
    curve = SmoothIsotonic().fit(logits, clicks_of(slope * logits - 2, rng))
    far = np.array([-6.0, -5.0, 5.0, 6.0])
    np.testing.assert_allclose(np.diff(curve.logit(far))[[0, 2]], slope, atol=0.1)
    assert (np.diff(curve.logit(far)) > 0).all()


def test_the_curve_is_nearer_to_the_truth_than_isotonic_regression(
    rng: np.random.Generator,
) -> None:
    logits, unseen = rng.normal(0, 1.5, 20_000), rng.normal(0, 1.5, 20_000)

    def truth(x: np.ndarray) -> np.ndarray:
        return sigmoid(np.where(x < 0, x / 3 - 3, 2 * x - 3))

    clicks = rng.random(20_000) < truth(logits)
    peer = IsotonicRegression(out_of_bounds="clip").fit(logits, clicks)
    ours = SmoothIsotonic().fit(logits, clicks).probability(unseen)

    def distance(p: np.ndarray) -> float:
        return float(np.mean((p - truth(unseen)) ** 2))

    assert distance(ours) < 0.7 * distance(peer.predict(unseen))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_repeats(kind: type[Calibrator], rng: np.random.Generator) -> None:
    logits = rng.normal(0, 1, 2000)
    clicks = clicks_of(logits, rng)
    once = kind().fit(logits, clicks, weights=np.full(2000, 3.0))
    thrice = kind().fit(np.repeat(logits, 3), np.repeat(clicks, 3))
    x = np.linspace(-1.5, 1.5, 9)
    np.testing.assert_allclose(once.probability(x), thrice.probability(x), atol=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_stands_before_weights_and_changes_no_plain_map(
    kind: type[Calibrator], rng: np.random.Generator
) -> None:
    logits, context = rng.normal(0, 1, 500), rng.normal(0, 1, (500, 2))
    clicks = clicks_of(logits, rng)
    plain, told = kind().fit(logits, clicks), kind().fit(logits, clicks, context)
    assert told.to_dict() == plain.to_dict()
    assert told.probability(logits, context).tolist() == plain.probability(logits).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clicks", [[0, 0, 0], [1, 1, 1], [0, 0, 1]])
def test_separable_and_one_sided_clicks_stay_finite(kind: type[Calibrator], clicks: list) -> None:
    p = kind().fit([-5.0, 0.0, 5.0], clicks).probability([-5.0, 0.0, 5.0, 30.0])
    assert ((p > 0) & (p < 1)).all()
    assert (np.diff(p) >= 0).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 9)), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_pooling_is_isotonic_regression(rows: list[tuple[float, float]]) -> None:
    rates, mass = (np.array(c) for c in zip(*rows, strict=True))
    block = pool_adjacent_violators(rates, mass)
    means = np.bincount(block, mass * rates) / np.bincount(block, mass)
    peer = (
        IsotonicRegression().fit(np.arange(len(rates)), rates, mass).predict(np.arange(len(rates)))
    )
    np.testing.assert_allclose(means[block], peer, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("logits", "clicks", "message"),
    [
        ([0.0, np.nan], [0, 1], "1 of 2 are NaN or infinite"),
        ([0.0, np.inf], [0, 1], "1 of 2 are NaN or infinite"),
        ([0.0, 1.0], [0, np.nan], "1 of 2 are not, the first is row 2"),
        ([0.0, 1.0], [0, 2], "must be 0 or 1"),
        ([0.0, 1.0], [0], "2 logits or probabilities but 1 clicks"),
        ([], [], "no rows"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    kind: type[Calibrator], logits: list, clicks: list, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        kind().fit(logits, clicks)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_checked_and_fitting_comes_first(kind: type[Calibrator]) -> None:
    with pytest.raises(DataError, match="weights must be 2 finite numbers"):
        kind().fit([0.0, 1.0], [0, 1], weights=[1.0, -1.0])
    with pytest.raises(DataError, match="1 are negative, NaN or infinite"):
        kind().fit([0.0, 1.0], [0, 1], weights=[1.0, np.inf])
    with pytest.raises(NotFittedError, match="call fit"):
        kind().probability([0.0])


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"kind": "magic"},
        {"kind": "platt"},
        {"kind": "platt", "slope": -1, "intercept": 0},
        {"kind": "platt", "slope": float("nan"), "intercept": 0},
        {"kind": "platt", "slope": 1, "intercept": float("inf")},
        {"kind": "isotonic", "centres": [1, 0], "values": [0, 1], "slope": 1},
        {"kind": "isotonic", "centres": [0, 1], "values": [0, 1], "slope": 0},
        {"kind": "isotonic", "centres": [[0, 1]], "values": [[0, 1]], "slope": 1},
        {"kind": "isotonic", "centres": [float("nan")], "values": [0], "slope": 1},
        {"kind": "isotonic", "centres": [], "values": [], "slope": 1},
        {"kind": "isotonic", "centres": [0, 1], "values": [0], "slope": 1},
        7,
    ],
)
def test_broken_files_are_refused(facts: Any) -> None:
    with pytest.raises(BundleError, match="no calibrator"):
        from_dict(facts)
