"""The balanced tree: as equal as numbers allow, every path once, no cheaper split."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.tokenize import tree
from etalage.tokenize.tree import BalancedTree, balanced


def cloud(n: int, width: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.integers(2, 9), st.integers(0, 9), st.booleans())
def test_siblings_are_of_one_size_and_no_path_is_shared(
    n: int, n_codes: int, seed: int, is_coarse: bool
) -> None:
    x = cloud(n, seed=seed)
    x = np.round(x) if is_coarse else x
    quantizer = BalancedTree(n_codes, seed=seed)
    codes = quantizer.fit_encode(x)
    assert len(np.unique(codes, axis=0)) == n
    assert n_codes ** (codes.shape[1] - 1) < n or codes.shape[1] == 1
    assert max(quantizer.sizes) <= n_codes
    for depth in range(codes.shape[1]):
        stems = np.unique(codes[:, :depth], axis=0)
        for stem in stems:
            below = codes[(codes[:, :depth] == stem).all(1), depth]
            counts = np.bincount(below)
            assert counts.min() >= 1  # codes are numbered without gaps
            assert counts.max() - counts.min() <= 1
    np.testing.assert_allclose(quantizer.decode(codes), x, atol=1e-6)


def test_the_size_of_a_real_catalogue_needs_as_few_leaves_as_items() -> None:
    quantizer = BalancedTree(256, n_iterations=2)
    codes = quantizer.fit_encode(cloud(12_101, 4))
    assert quantizer.sizes == (256, 48)
    assert sorted(set(np.bincount(codes[:, 0]).tolist())) == [47, 48]
    assert len(np.unique(codes, axis=0)) == 12_101


def test_a_small_split_is_the_cheapest_of_all() -> None:
    x, book = cloud(6, seed=3), cloud(3, seed=4)
    apart = ((x[:, None] - book) ** 2).sum(2)
    best = min(apart[list(p), [0, 0, 1, 1, 2, 2]].sum() for p in permutations(range(6)))
    split = balanced(x, book)
    assert np.bincount(split).tolist() == [2, 2, 2]
    assert apart[np.arange(6), split].sum() == pytest.approx(best, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.integers(1, 9), st.integers(0, 99))
def test_a_large_split_takes_pairs_by_their_distance(n: int, k: int, seed: int) -> None:
    x, book = cloud(max(n, k), seed=seed), cloud(k, seed=seed + 100)
    n = len(x)
    room = np.full(k, n // k)
    room[: n % k] += 1
    apart = tree._apart(x, book)
    expected, left = np.full(n, -1), room.copy()
    for pair in np.argsort(apart, axis=None, kind="stable"):
        item, point = divmod(int(pair), k)
        if expected[item] < 0 and left[point]:
            expected[item] = point
            left[point] -= 1
    assert np.array_equal(tree._greedy(x, book, room), expected)


def test_families_apart_are_found_and_new_items_walk_to_them() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(4, dtype=np.float32) * 50
    x = np.repeat(centres, 5, axis=0) + rng.normal(size=(20, 4)).astype(np.float32)
    quantizer = BalancedTree(5, n_levels=2).fit(x)
    assert quantizer.sizes == (5, 4)
    four = BalancedTree(4, n_levels=3)
    codes = four.fit_encode(x)
    assert [len(set(codes[5 * g : 5 * g + 5, 0])) for g in range(4)] == [1] * 4
    assert np.array_equal(four.encode(x), codes)
    assert np.array_equal(four.encode(x + 0.001), codes)


def test_a_path_that_leaves_the_tree_stands_where_it_left() -> None:
    quantizer = BalancedTree(4)
    codes = quantizer.fit_encode(cloud(10))
    wrong = codes[:1].copy()
    wrong[0, 1] = 99
    assert np.array_equal(quantizer.decode(wrong), quantizer.decode(codes[:1, :1]))
