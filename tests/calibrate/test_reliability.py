"""Bins of probabilities and their intervals: by hand, against draws, and whether they hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.calibrate.reliability import Bin, reliability, wilson
from etalage.errors import DataError


def rare(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """About 1 % are clicks."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 99, n)
    return p, (rng.random(n) < p).astype(int)


def games(rng: np.random.Generator, n_games: int, n_each: int) -> tuple[np.ndarray, ...]:
    """Forecasts of games, each right in the mean; rows of a game share what came of it."""
    p = rng.uniform(0.1, 0.9, n_games)
    won = (rng.random(n_games) < p).astype(int)
    return np.repeat(p, n_each), np.repeat(won, n_each), np.repeat(np.arange(n_games), n_each)


def share_held(bins: list[Bin]) -> float:
    return float(np.mean([b.low <= b.predicted <= b.high for b in bins]))


def test_bins_by_hand() -> None:
    # Σ p (1 - p) is .52, and half of it is reached within the row of .5, which begins a bin
    bins = reliability([0.1, 0.1, 0.5, 0.9], [0, 1, 1, 1], n_bins=2)
    assert [(b.predicted, b.observed, b.count) for b in bins] == [(0.1, 0.5, 2), (0.7, 1.0, 2)]
    assert all(b.low <= b.observed <= b.high for b in bins)


def test_equal_probabilities_are_never_parted() -> None:
    bins = reliability([0.2] * 50 + [0.3] * 50, [0, 1] * 50, n_bins=10)
    assert [b.count for b in bins] == [50, 50]


def test_bins_of_rare_clicks_expect_as_many_each() -> None:
    bins = reliability(*rare(200_000), n_bins=10)
    expected = [b.predicted * b.count for b in bins]
    assert expected == pytest.approx([200] * 10, rel=0.1)
    assert bins[0].count > 10 * bins[-1].count


def test_wilson_by_hand() -> None:
    low, high = wilson(np.array([0.5, 0.0]), np.array([10, 10]))
    assert low.tolist() == pytest.approx([0.2366, 0.0], abs=1e-4)
    assert high.tolist() == pytest.approx([0.7634, 0.2775], abs=1e-4)


def test_rows_of_their_own_have_the_intervals_of_a_bootstrap() -> None:
    p, y = rare(60_000)
    bins = reliability(p, y, n_bins=6)
    alone = reliability(p, y, n_bins=6, clusters=np.arange(len(p)))
    rng = np.random.default_rng(1)
    edges = np.cumsum([0, *(int(b.count) for b in bins)])
    clicks = y[np.argsort(p, kind="stable")]
    for b, one, start, stop in zip(bins, alone, edges, edges[1:], strict=False):
        assert (one.low, one.high) == pytest.approx((b.low, b.high), rel=1e-2)
        n_clicks = clicks[start:stop].sum()  # a draw of rows is a Poisson draw of either kind
        drawn, missed = rng.poisson([n_clicks, stop - start - n_clicks], (20_000, 2)).T
        ends = np.quantile(drawn / (drawn + missed), [0.025, 0.975])
        assert (b.low, b.high) == pytest.approx(ends, rel=0.05)


def test_clusters_have_the_variance_of_a_bootstrap_over_them() -> None:
    rng = np.random.default_rng(0)
    n_clusters = 400
    clusters = rng.integers(0, n_clusters, 20_000)
    p = np.full(20_000, 0.2)
    y = rng.random(20_000) < rng.beta(2, 8, n_clusters)[clusters]
    (b,) = reliability(p, y, clusters=clusters)
    draws = rng.poisson(1, (4000, n_clusters))
    rates = (draws @ np.bincount(clusters, y)) / (draws @ np.bincount(clusters))
    assert b.high - b.low == pytest.approx(2 * 1.96 * rates.std(), rel=0.05)
    (narrow,) = reliability(p, y)
    assert b.high - b.low > 2 * (narrow.high - narrow.low)


@pytest.mark.parametrize("n_games", [60, 600])
def test_bands_over_clusters_hold_and_others_do_not(n_games: int) -> None:
    rng = np.random.default_rng(0)
    held, naive = [], []
    for _ in range(150):
        p, y, game = games(rng, n_games, 20)
        held.append(share_held(reliability(p, y, 6, clusters=game)))
        naive.append(share_held(reliability(p, y, 6)))
    assert 0.93 < np.mean(held) < 0.985
    assert np.mean(naive) < 0.5


def test_a_whole_curve_lies_in_its_band() -> None:
    rng = np.random.default_rng(0)
    whole = []
    for _ in range(300):
        p = rng.uniform(0, 1, 3000)
        bins = reliability(p, rng.random(3000) < p, n_bins=12, level=1 - 0.05 / 12)
        whole.append(share_held(bins) == 1)
    assert np.mean(whole) == pytest.approx(0.95, abs=0.03)


def test_a_bin_without_clicks_has_a_band_as_wide_as_clusters_ask() -> None:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(200), 50)
    p = np.where(user < 100, 0.01, 0.2)
    y = np.where(user < 100, 0, np.repeat(rng.random(200) < 0.2, 50))
    for alone, b in zip(reliability(p, y), reliability(p, y, clusters=user), strict=True):
        assert b.high - b.low > 3 * (alone.high - alone.low)


def test_rows_of_their_own_are_not_widened_by_clusters_elsewhere() -> None:
    rng = np.random.default_rng(0)
    p, won, game = games(rng, 200, 50)
    low = p < 0.5
    p = np.where(low, p, 0.9)
    game = np.where(low, game, 200 + np.arange(len(p)))
    won = np.where(low, won, rng.random(len(p)) < 0.9)
    alone, held = reliability(p, won, 6), reliability(p, won, 6, clusters=game)
    assert held[0].high - held[0].low > 4 * (alone[0].high - alone[0].low)
    assert (held[-1].low, held[-1].high) == pytest.approx((alone[-1].low, alone[-1].high), rel=1e-3)


def test_one_cluster_tells_as_much_as_a_row() -> None:
    (b,) = reliability([0.3] * 40, [1] * 40, clusters=["a"] * 40)
    (row,) = reliability([0.3], [1])
    assert (b.low, b.high) == pytest.approx((row.low, row.high))


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 3), st.integers(0, 4)),
        min_size=1,
        max_size=40,
    ).filter(lambda rows: any(row[2] for row in rows)),
    n_bins=st.integers(1, 12),
    is_clustered=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_weight_is_a_row_as_many_times(
    rows: list[tuple[int, bool, int, int]], n_bins: int, is_clustered: bool
) -> None:
    p, y, w, clusters = (np.array(column) for column in zip(*rows, strict=True))
    again = np.repeat(np.arange(len(p)), w)
    one = reliability(p / 20, y, n_bins, weights=w, clusters=clusters if is_clustered else None)
    other = reliability(
        (p / 20)[again], y[again], n_bins, clusters=clusters[again] if is_clustered else None
    )
    assert len(one) == len(other)
    for b, c in zip(one, other, strict=True):
        assert list(vars(b).values()) == pytest.approx(list(vars(c).values()), rel=1e-6, abs=1e-9)


def test_bad_rows_are_refused() -> None:
    with pytest.raises(DataError, match="2 probabilities but 1 values"):
        reliability([0.1, 0.2], [0, 1], clusters=[1])
    with pytest.raises(DataError, match="weights must be 2 finite numbers"):
        reliability([0.1, 0.2], [0, 1], weights=[1])
