"""Negatives are never seen items, and come exactly as often as they should."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from etalage.data.negatives import NegativeSampler
from etalage.data.ragged import ItemSets
from etalage.errors import CapacityError, DataError
from etalage.seeds import generator

N = 7
seen_sets = st.lists(st.lists(st.integers(0, N - 1), max_size=9), min_size=1, max_size=5)
weights_of_items = st.lists(st.integers(0, 4), min_size=N, max_size=N)


class Every:
    """A generator that answers with all numbers in turn, so that a test sees every outcome."""

    def integers(self, low: int, high: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return np.broadcast_to(np.arange(size[1]), size) % high


@given(seen_sets, st.none() | weights_of_items)
@settings(max_examples=200, deadline=None)
def test_each_unseen_item_owns_exactly_its_weight(rows: list, weights: list | None) -> None:
    """All equally likely numbers are tried, so the distribution is checked without chance."""
    sampler = NegativeSampler(
        ItemSets.from_rows(rows), N, None if weights is None else np.array(weights)
    )
    for row, seen in enumerate(rows):
        odds = np.array([1] * N if weights is None else weights)
        odds[seen] = 0
        drawn = sampler.draw([row], max(int(odds.sum()), 1), Every())[0]  # type: ignore[arg-type]
        if odds.sum():
            assert np.bincount(drawn, minlength=N).tolist() == odds.tolist()
        else:
            assert drawn.tolist() == [-1]


@given(seen_sets, st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_nothing_seen_is_ever_drawn(rows: list, seed: int) -> None:
    people = np.arange(len(rows)).repeat(2)[::-1]
    drawn = NegativeSampler(ItemSets.from_rows(rows), N).draw(people, 20, generator(seed, "n"))
    assert drawn.dtype == np.int32
    for person, items in zip(people, drawn, strict=True):
        assert not set(items.tolist()) & set(rows[person])
        assert (items == -1).all() == (set(rows[person]) == set(range(N)))


@pytest.mark.parametrize("weighted", [False, True])
def test_draws_are_in_proportion_by_chi_square(weighted: bool) -> None:
    weights = np.arange(50) % 9 if weighted else np.ones(50, np.int64)
    seen = [3, 4, 17, 49]
    sampler = NegativeSampler(ItemSets.from_rows([[0], seen]), 50, weights)
    drawn = sampler.draw([1], 200_000, generator(1, "chi"))[0]
    odds = weights.copy()
    odds[seen] = 0
    can = odds > 0
    counts = np.bincount(drawn, minlength=50)
    assert counts[~can].sum() == 0
    assert chisquare(counts[can], 200_000 * odds[can] / odds.sum()).pvalue > 0.001


def test_same_seed_same_draws_and_cheap() -> None:
    rng = np.random.default_rng(0)
    seen = ItemSets(np.arange(0, 200_001, 20), rng.integers(0, 50_000, 200_000).astype(np.int32))
    sampler = NegativeSampler(seen, 50_000)
    people = rng.integers(0, 10_000, 10_000)
    before = time.process_time()
    drawn = sampler.draw(people, 100, generator(3, "n"))
    assert time.process_time() - before < 2  # a million draws
    assert (drawn == sampler.draw(people, 100, generator(3, "n"))).all()


def test_what_makes_no_sense_is_refused() -> None:
    none = ItemSets.from_rows([[], []])
    with pytest.raises(DataError, match=r"4 whole numbers, none negative; got float64"):
        NegativeSampler(none, 4, np.ones(4))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="none negative"):
        NegativeSampler(none, 2, np.array([1, -1]))
    with pytest.raises(DataError, match=r"outside 0..3"):
        NegativeSampler(ItemSets.from_rows([[4]]), 4)
    with pytest.raises(CapacityError, match="exceed 64 bits"):
        NegativeSampler(none, 1, np.array([2**62]))
    assert NegativeSampler(none, 0).draw([0], 2, generator(1, "n")).tolist() == [[-1, -1]]
