"""Calibrators: known truths, monotony, extremes, files, and what is refused."""

import itertools
import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from etalage.calibrate import (
    KINDS,
    Beta,
    Calibrator,
    FieldEffects,
    Gamma,
    Gaussian,
    Histogram,
    Isotonic,
    LogitSummary,
    MCNet,
    Platt,
    SmoothIsotonic,
    Temperature,
    choose,
    from_dict,
)
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.isotonic import pool_adjacent_violators
from etalage.calibrate.measures import log_loss
from etalage.errors import BundleError, DataError, NotFittedError

MONOTONE = [kind for kind in KINDS if kind is not Histogram]
CURVE = {"least": 0.1, "alpha": 1, "beta": 1, "intercept": 0, "low": 0, "high": 1}
STRICT = [kind for kind in MONOTONE if kind is not Isotonic]


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


@pytest.mark.parametrize("kind", MONOTONE)
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


@pytest.mark.parametrize("kind", [*KINDS, MCNet])
def test_weights_are_repeats(kind: type[Calibrator], rng: np.random.Generator) -> None:
    logits = rng.normal(0, 1, 2000)
    clicks, weights = clicks_of(logits, rng), rng.integers(0, 5, 2000)
    once = kind().fit(logits, clicks, weights=weights)
    repeated = kind().fit(np.repeat(logits, weights), np.repeat(clicks, weights))
    assert once.to_dict() == repeated.to_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_parting_of_rows_change_nothing(
    kind: type[Calibrator], rng: np.random.Generator
) -> None:
    logits = rng.normal(-2, 3, 3000)
    clicks, order = clicks_of(logits, rng), rng.permutation(3000)
    whole = kind().fit(logits, clicks).to_dict()
    assert kind().fit(logits[order], clicks[order]).to_dict() == whole
    parts = [LogitSummary.of(logits[some], clicks[some]) for some in np.split(order, [500, 2100])]
    assert kind().learn(parts[2] + parts[0] + parts[1]).to_dict() == whole


@pytest.mark.parametrize("kind", [*STRICT, MCNet])
@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_no_two_logits_are_tied(
    kind: type[Calibrator], number: type, rng: np.random.Generator
) -> None:
    logits = rng.normal(-2, 2, 5000)
    curve = kind().fit(logits, clicks_of(-logits, rng))  # against the order
    grid = np.linspace(-12, 12, 100_001).astype(number)
    grid = grid[np.diff(grid, prepend=-np.inf) > 0]
    assert (np.diff(curve.logit(grid)) > 0).all()


@pytest.mark.parametrize("kind", [*STRICT, FieldEffects, MCNet])
def test_an_inverse_gives_the_logits_back(kind: type[Calibrator], rng: np.random.Generator) -> None:
    logits, context = rng.normal(-2, 2, 5000), rng.integers(0, 4, 5000)
    curve = kind().fit(logits, clicks_of(0.7 * logits + 0.2 * context, rng), context)
    found = curve.inverse(curve.logit(logits, context), context)
    np.testing.assert_allclose(found, logits, atol=1e-9)


def test_temperature_finds_how_sure_the_ranker_may_be(rng: np.random.Generator) -> None:
    truth = rng.normal(0, 1.5, 100_000)
    found = Temperature().fit(truth / 0.4, clicks_of(truth, rng))
    assert found.slope == pytest.approx(0.4, abs=0.01)
    assert found.intercept == 0
    peer = LogisticRegression(C=1e12, tol=1e-10, fit_intercept=False)
    peer.fit(truth[:, None], clicks := clicks_of(truth, rng))
    assert Temperature().fit(truth, clicks).slope == pytest.approx(peer.coef_[0, 0], rel=1e-3)


def test_isotonic_is_that_of_scikit_learn_inside_its_pools(rng: np.random.Generator) -> None:
    logits = np.unique(rng.normal(0, 1.5, 4000).round(2))  # rows that share a bin are equal here
    logits = rng.choice(logits, 20_000)
    clicks = clicks_of(logits, rng)
    peer = IsotonicRegression(out_of_bounds="clip").fit(logits, clicks)
    found, x = Isotonic().fit(logits, clicks).probability(logits), peer.predict(logits)
    inside = (x > 0.01) & (x < 0.99)
    np.testing.assert_allclose(found[inside], x[inside], atol=1e-6)
    assert ((found > 0) & (found < 1)).all()


@given(
    slopes=st.tuples(st.floats(-0.3, 3), st.floats(-0.3, 3)),
    middle=st.floats(-3, 1),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_beta_is_that_of_betacal(slopes: tuple[float, float], middle: float, seed: int) -> None:
    with warnings.catch_warnings():  # its import silences all warnings for good
        from betacal import BetaCalibration
    rng = np.random.default_rng(seed)
    logits = rng.normal(middle, 1.5, 20_000)
    p = sigmoid(logits)
    clicks = clicks_of(slopes[0] * np.log(p) - slopes[1] * np.log1p(-p) + 0.3, rng)
    peer = BetaCalibration("abm").fit(p, clicks)
    found, theirs = Beta().fit(logits, clicks).probability(logits), peer.predict(p)
    is_inside = min(peer.calibrator_.map_[:2]) > 0.05
    if is_inside and 100 < clicks.sum() < 19_900:  # with fewer, one more row is seen
        assert np.abs(found - theirs).mean() < 5e-3, "their solver stops early"
    # they leave out a slope that is negative; the other may be then, or may have been the worse
    if (np.diff(theirs[np.argsort(logits)]) >= 0).all():
        assert log_loss(found, clicks) <= log_loss(theirs, clicks) + 1e-4, "but for the least slope"


@pytest.mark.parametrize(("kind", "bases"), [(Gaussian, "gaussian"), (Gamma, "gamma")])
def test_curves_are_the_best_of_their_form(
    kind: type[Calibrator], bases: str, rng: np.random.Generator
) -> None:
    """The published form with free numbers, where these keep the curve rising anyway."""
    logits = rng.normal(-1, 1, 50_000)
    low = logits.min()
    bend = 0.1 * logits**2 if bases == "gaussian" else np.log(logits - low + 1)
    clicks = clicks_of(bend + 1.2 * logits - 1, rng)
    other = logits**2 if bases == "gaussian" else np.log(logits - low + 1)
    peer = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000)
    columns = np.column_stack([logits, other])
    expected = peer.fit(columns, clicks).predict_proba(columns)[:, 1]
    found = kind().fit(logits, clicks).probability(logits)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_one_miss_at_the_bottom_lifts_nothing_above_it() -> None:
    logits = np.linspace(-3, 3, 2000)
    clicks = np.zeros(2000)
    clicks[1] = clicks[20::20] = 1  # a rate of 5 %, and a miss, then a click, at the bottom
    p = Isotonic().fit(logits, clicks).probability(logits)
    assert p.mean() == pytest.approx(clicks.mean(), rel=0.02)
    tenth = Isotonic().fit(logits, clicks, weights=np.full(2000, 0.01)).probability(logits)
    assert tenth.mean() == pytest.approx(clicks.mean(), rel=0.05)


@pytest.mark.parametrize("kind", [kind for kind in STRICT if kind is not SmoothIsotonic])
@pytest.mark.parametrize("spread", [1e-12, 1e-6])
def test_logits_that_differ_by_rounding_have_no_slope(
    kind: type[Calibrator], spread: float
) -> None:
    curve = kind().fit([-spread, spread] * 500, [0, 1, 0, 1, 1, 0, 0, 1] * 125)
    assert np.abs(curve.logit([-0.5, 0.5])).max() < 35


def test_histogram_bins_hold_their_rates(rng: np.random.Generator) -> None:
    logits = rng.normal(0, 1, 50_000)
    clicks = clicks_of(logits, rng)
    found = Histogram().fit(logits, clicks)
    edges = np.concatenate([[-np.inf], found.edges, [np.inf]])
    assert len(found.rates) == 50
    for n, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = (logits >= low) & (logits < high)
        expected = (clicks[inside].sum() + clicks.mean()) / (inside.sum() + 1)
        assert found.rates[n] == pytest.approx(expected, abs=1e-3), (
            "a row between two bins may go to either"
        )
        assert inside.sum() == pytest.approx(1000, abs=60)


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
        {"kind": "smooth_isotonic", "centres": [1, 0], "values": [0, 1], "slope": 1},
        {"kind": "smooth_isotonic", "centres": [0, 1], "values": [0, 1], "slope": 0},
        {"kind": "smooth_isotonic", "centres": [[0, 1]], "values": [[0, 1]], "slope": 1},
        {"kind": "smooth_isotonic", "centres": [float("nan")], "values": [0], "slope": 1},
        {"kind": "smooth_isotonic", "centres": [], "values": [], "slope": 1},
        {"kind": "smooth_isotonic", "centres": [0, 1], "values": [0], "slope": 1},
        {"kind": "isotonic", "points": [0, 1], "rates": [0.2, 0.1]},
        {"kind": "isotonic", "points": [1, 0], "rates": [0.1, 0.2]},
        {"kind": "isotonic", "points": [0, 1], "rates": [0.0, 0.2]},
        {"kind": "isotonic", "points": [], "rates": []},
        {"kind": "histogram", "edges": [0], "rates": [0.1]},
        {"kind": "histogram", "edges": [1, 0], "rates": [0.1, 0.2, 0.3]},
        {"kind": "histogram", "edges": [0], "rates": [0.1, 1.0]},
        {"kind": "beta", "least": 0.1, "alpha": -1, "beta": 1, "intercept": 0, "low": 0, "high": 1},
        {"kind": "gamma", "least": 0.1, "alpha": 1, "beta": 1, "intercept": 0, "low": 2, "high": 1},
        {
            "kind": "gaussian",
            "least": 0,
            "alpha": 1,
            "beta": 1,
            "intercept": 0,
            "low": 0,
            "high": 1,
        },
        7,
    ],
)
def test_broken_files_are_refused(facts: Any) -> None:
    with pytest.raises(BundleError, match="no calibrator"):
        from_dict(facts)
