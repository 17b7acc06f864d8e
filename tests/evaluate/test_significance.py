"""Intervals that cover, tests that reject as often as they say, corrections by hand."""

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


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="different numbers of queries"):
        compare({"a": np.zeros(3), "b": np.zeros(4)}, np.random.default_rng(0))
    with pytest.raises(DataError, match="no queries"):
        interval(np.zeros(0), np.random.default_rng(0))
