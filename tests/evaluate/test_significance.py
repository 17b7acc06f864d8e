"""Intervals that cover, tests that reject as often as they say, corrections by hand."""

import itertools
import time

import numpy as np
import pytest
from scipy import stats

from etalage.errors import DataError
from etalage.evaluate.significance import auc_interval, compare, holm, interval, sign_flip


def test_a_bootstrap_interval_is_near_the_normal_one() -> None:
    values = np.random.default_rng(0).exponential(1, 4000)
    low, high = interval(values, np.random.default_rng(1))
    reach = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - reach, abs=0.15 * reach)
    assert high == pytest.approx(values.mean() + reach, abs=0.15 * reach)
    assert interval(values, np.random.default_rng(1)) == (low, high)


def test_many_values_get_the_limit_of_the_bootstrap() -> None:
    values = np.random.default_rng(0).exponential(1, 10_000)
    low, high = interval(values, np.random.default_rng(1))
    peer = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(peer, rel=1e-6)
    drawn = stats.bootstrap((values[:-1],), np.mean, method="percentile", n_resamples=2000, rng=1)
    assert (low, high) == pytest.approx(tuple(drawn.confidence_interval), abs=2e-3)
    ours = interval(values[:-1], np.random.default_rng(2), 2000)
    assert ours == pytest.approx(tuple(drawn.confidence_interval), abs=2e-3)


def test_six_models_on_a_whole_test_set_cost_little() -> None:
    rng = np.random.default_rng(0)
    models = {f"model {n}": rng.random(22_363) for n in range(6)}
    began = time.process_time()
    rows = compare(models, rng)
    for values in models.values():
        interval(values, rng)
    assert time.process_time() - began < 0.8
    assert len(rows) == 15


def test_intervals_cover() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = interval(rng.normal(3, 1, 100), rng, 300)
        covered += low <= 3 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_sign_flip_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    gaps = rng.normal(0.3, 1, 12)
    peer = stats.permutation_test(
        (gaps,), lambda x, axis: np.mean(x, axis), permutation_type="samples", vectorized=True,
        n_resamples=np.inf,
    )  # fmt: skip
    ours = sign_flip(gaps[None], np.random.default_rng(1), 40_000)[0]
    assert ours == pytest.approx(peer.pvalue, abs=0.01)


@pytest.mark.parametrize("gaps", [[1.0, 1, 1], [1.0, -1, 0, 1], [0.0, 0, 0], [3.0, 1, -2, 1, 1]])
def test_equal_differences_count_as_extreme(gaps: list[float]) -> None:
    signs = np.array(list(itertools.product([-1, 1], repeat=len(gaps))))
    exact = np.mean(np.abs(signs @ gaps) >= abs(sum(gaps)))  # all 2^n sign flips
    ours = sign_flip(np.array([gaps]), np.random.default_rng(0), 40_000)[0]
    assert ours == pytest.approx(exact, abs=0.01)


def test_p_is_never_0() -> None:
    (row,) = compare({"a": np.ones(500), "b": np.zeros(500)}, np.random.default_rng(0))
    assert row.p == 1 / 2001
    assert (row.difference, row.low, row.high, row.n) == (1, 1, 1, 500)


def test_p_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(0)
    p = sign_flip(rng.normal(0, 1, (300, 50)), rng, 400)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert p.min() >= 1 / 401


def test_models_that_agree_everywhere_do_not_differ() -> None:
    values = np.random.default_rng(0).random(100)
    (row,) = compare({"a": values, "b": values.copy()}, np.random.default_rng(0))
    assert (row.difference, row.low, row.high, row.p) == (0, 0, 0, 1)


def test_comparisons_are_corrected_together() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(500)
    models = {"a": base + 0.2, "b": base + rng.normal(0, 0.1, 500), "c": base}
    rows = compare(models, rng)
    assert [(r.a, r.b) for r in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [r.p_holm for r in rows] == holm(np.array([r.p for r in rows])).tolist()
    assert rows[1].difference == pytest.approx(0.2)
    assert rows[0].p_holm < 0.01 < rows[2].p_holm
    assert compare(models, rng, pairs=[]) == []
    assert len(compare(models, rng, pairs=[("a", "c")])) == 1


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.02, 0.03, 0.5])).tolist() == pytest.approx(
        [0.04, 0.06, 0.06, 0.5]
    )
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]


def test_auc_intervals_cover() -> None:
    rng = np.random.default_rng(0)
    truth = stats.norm.cdf(1 / np.sqrt(2))  # clicks shifted by one deviation
    covered = 0
    for _ in range(200):
        clicks = rng.random(300) < 0.3
        low, high = auc_interval(rng.normal(0, 1, 300) + clicks, clicks)
        covered += low <= truth <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_auc_interval_is_that_of_delong_by_hand() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.4
    wins = (x[y][:, None] > x[~y]) + 0.5 * (x[y][:, None] == x[~y])  # (clicks, misses)
    area = wins.mean()
    variance = wins.mean(1).var(ddof=1) / y.sum() + wins.mean(0).var(ddof=1) / (~y).sum()
    reach = 1.959964 * np.sqrt(variance) / (area * (1 - area))
    expected = 1 / (1 + np.exp(-(np.log(area / (1 - area)) + np.array([-reach, reach]))))
    assert auc_interval(x, y) == pytest.approx(tuple(expected))


def test_auc_intervals_of_few_clicks_are_wide() -> None:
    assert auc_interval([1, 2, 3], [0, 1, 0]) == (0, 1)
    low, high = auc_interval([1, 2, 3, 4, 5], [0, 0, 0, 1, 1])
    assert low**2 == pytest.approx(0.025)  # chance that two pairs are in order
    assert high == 1
    assert auc_interval([1, 2, 3, 4, 5], [1, 1, 0, 0, 0]) == pytest.approx((0, 1 - low))
    assert np.isnan(auc_interval([1, 2], [0, 0])).all()


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 3 queries have no finite value"):
        interval(np.array([0, np.nan, 1]), np.random.default_rng(0))
    with pytest.raises(DataError, match="different numbers of queries"):
        compare({"a": np.zeros(3), "b": np.zeros(4)}, np.random.default_rng(0))
    with pytest.raises(DataError, match="no queries"):
        interval(np.zeros(0), np.random.default_rng(0))
