"""Measures of probabilities against scikit-learn, hand-made cases and known truths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from etalage.calibrate.measures import divergence, log_loss, measures
from etalage.errors import DataError


def honest(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 8, n)
    return p, (rng.random(n) < p).astype(int)


def test_parity_with_scikit_learn() -> None:
    p, y = honest(2000)
    found = measures(p, y)
    assert found["log_loss"] == pytest.approx(sklearn_log_loss(y, np.clip(p, 1e-7, 1 - 1e-7)))
    assert found["brier"] == pytest.approx(brier_score_loss(y, p))
    log_odds = np.log(np.clip(p, 1e-7, 1) / (1 - p))[:, None]
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(log_odds, y)
    assert found["slope"] == pytest.approx(peer.coef_[0, 0], rel=1e-4)
    assert found["intercept"] == pytest.approx(peer.intercept_[0], abs=1e-4)


def test_honest_probabilities_lie_at_the_floor() -> None:
    cases = [measures(*honest(20_000, seed)) for seed in range(20)]
    ratio = np.mean([m["ece"] for m in cases]) / np.mean([m["ece_floor"] for m in cases])
    assert ratio == pytest.approx(1, abs=0.1)
    assert np.mean([m["pcoc"] for m in cases]) == pytest.approx(1, abs=0.01)
    assert np.mean([m["slope"] for m in cases]) == pytest.approx(1, abs=0.01)
    assert np.mean([m["intercept"] for m in cases]) == pytest.approx(0, abs=0.03)


def test_doubled_probabilities_are_found_out() -> None:
    p, y = honest(20_000)
    found = measures(np.minimum(2 * p, 1), y)
    assert found["pcoc"] == pytest.approx(2, abs=0.1)
    assert found["ece"] > 10 * found["ece_floor"]


def test_bins_by_hand() -> None:
    p, y = [0.1, 0.1, 0.5, 0.9], [0, 1, 1, 1]
    found = measures(p, y, n_bins=2)
    # bins {.1, .1} and {.5, .9}: |1 - .2| + |2 - 1.4|
    assert found["ece"] == pytest.approx((0.8 + 0.6) / 4)


def test_certain_and_wrong_costs_a_finite_lot() -> None:
    assert log_loss([0.0], [1]) == pytest.approx(-np.log(1e-7))


def test_the_floor_by_hand() -> None:
    # one bin: V = .25 + .25 + .16 + .16
    found = measures([0.5, 0.5, 0.2, 0.2], [0, 1, 0, 1], n_bins=1)
    assert found["ece_floor"] == pytest.approx(np.sqrt(2 / np.pi * 0.82) / 4)


def test_an_order_that_is_wrong_has_a_slope_below_0() -> None:
    p, y = honest(5000)
    assert measures(1 - p, y)["slope"] < -0.5


def test_measures_are_numbers_or_absent() -> None:
    for clicks, absent in (([0, 0], {"pcoc", "slope", "intercept"}), ([1, 1], {"slope"})):
        found = measures([0.2, 0.3], clicks)
        assert not absent & set(found)
        assert all(np.isfinite(value) for value in found.values())
    assert all(np.isfinite(v) for v in measures([0.1, 0.1, 0.9, 0.9], [0, 0, 1, 1]).values())
    assert measures([0.2, 0.3], [1, 1])["pcoc"] == pytest.approx(0.25)


@pytest.mark.parametrize("p", [[0.5, 1.2], [-0.1, 0.5], [np.nan, 0.5]])
def test_logits_are_not_taken_for_probabilities(p: list[float]) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        measures(p, [0, 1])


def test_kuipers_chance_is_one_where_probabilities_are_right_and_none_where_not() -> None:
    chances = [measures(*honest(2000, seed))["kuiper_p"] for seed in range(400)]
    assert kstest(chances, "uniform").pvalue > 1e-3
    p, y = honest(20_000)
    assert measures(np.minimum(1.3 * p, 1), y)["kuiper_p"] < 1e-6


def test_the_range_of_the_walk_by_hand() -> None:
    p, y = [0.1, 0.2, 0.2, 0.6], [1, 0, 1, 0]
    # the walk is 0, .9, 1.5 behind both that are equal, .9
    scale = np.sqrt(0.1 * 0.9 + 2 * 0.2 * 0.8 + 0.6 * 0.4)
    found = measures(p, y)
    assert found["kuiper"] == pytest.approx(1.5 / scale)
    assert measures([p[n] for n in (2, 3, 0, 1)], [y[n] for n in (2, 3, 0, 1)]) == pytest.approx(
        found
    )
    assert measures([0.0, 1.0], [0, 1])["kuiper_p"] == 1


def test_parts_of_the_brier_score_add_up() -> None:
    rng = np.random.default_rng(0)
    p = rng.choice([0.1, 0.3, 0.7], 3000)  # nothing differs within a bin
    found = measures(p, (rng.random(3000) < 0.8 * p).astype(int), n_bins=3000)
    parts = found["reliability"] - found["resolution"] + found["uncertainty"]
    assert parts == pytest.approx(found["brier"])
    assert found["mce"] == pytest.approx(0.14, abs=0.03)


def test_divergence_is_what_the_log_loss_is_too_high() -> None:
    p, _ = honest(1000)
    q = np.clip(1.2 * p, 1e-6, 0.99)
    own = -np.mean(p * np.log(p) + (1 - p) * np.log1p(-p))
    other = -np.mean(p * np.log(q) + (1 - p) * np.log1p(-q))
    assert divergence(p, q) == pytest.approx(other - own, rel=1e-3)
    assert divergence(p, p) == 0
    assert np.isfinite(divergence([0.0, 1.0], [1.0, 0.0]))


def test_gross_errors_have_no_chance_at_all() -> None:
    p, y = honest(1_000_000)
    assert measures(np.minimum(2.5 * p, 1), y)["kuiper_p"] == 0


def test_one_probability_for_all_has_no_slope() -> None:
    assert "slope" not in measures([0.25] * 8, [1, 0] * 4)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40
    ).filter(lambda rows: any(row[2] for row in rows)),
    n_bins=st.integers(1, 12),
)
@settings(max_examples=150, deadline=None)
def test_a_weight_is_a_row_as_many_times(rows: list[tuple[int, bool, int]], n_bins: int) -> None:
    p, y, w = (np.array(column) for column in zip(*rows, strict=True))
    again = np.repeat(np.arange(len(p)), w)
    one = measures(p / 20, y, n_bins, weights=w)
    other = measures((p / 20)[again], y[again], n_bins)
    assert one.keys() == other.keys()
    for name in one.keys() - {"slope", "intercept"}:
        assert one[name] == pytest.approx(other[name], rel=1e-9, abs=1e-9), name


def test_slopes_of_weighted_rows_are_those_of_as_many() -> None:
    p, y = honest(500)
    w = np.random.default_rng(1).integers(0, 4, 500)
    one, other = measures(p, y, weights=w), measures(np.repeat(p, w), np.repeat(y, w))
    assert one == pytest.approx(other)
