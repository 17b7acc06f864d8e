"""The one k-means: as good as another's, within its block of memory, and drawn from a part."""

import tracemalloc

import numpy as np
import pytest
from sklearn.cluster import KMeans

from etalage.tokenize.kmeans import SAMPLE, kmeans, nearest, sample_of, sums_of


def cloud(n: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(30, width)) * 2
    return (centres[rng.integers(0, 30, n)] + rng.normal(size=(n, width))).astype(np.float32)


def test_error_is_that_of_another_k_means() -> None:
    x = cloud(2000, 8)
    ours = nearest(x, kmeans(x, 30, 50, np.random.default_rng(0)))[1].sum()
    theirs = KMeans(30, n_init=3, max_iter=50, random_state=0).fit(x).inertia_
    assert ours < 1.02 * theirs


def test_every_used_code_is_the_mean_of_its_items() -> None:
    x = cloud(500, 4)
    book = kmeans(x, 12, 200, np.random.default_rng(1))
    codes, _ = nearest(x, book)
    for code in range(12):
        np.testing.assert_allclose(book[code], x[codes == code].mean(0), atol=1e-5)


def test_sums_are_those_of_a_loop() -> None:
    x, codes = cloud(100, 3), np.random.default_rng(0).integers(0, 7, 100)
    codes[codes == 3] = 4  # a code without items
    expected = [x[codes == code].sum(0, dtype=np.float64) for code in range(7)]
    np.testing.assert_allclose(sums_of(x, codes, 7), expected)


def test_a_large_catalogue_is_learned_from_a_part_and_a_small_one_from_all() -> None:
    x = np.arange(10 * SAMPLE, dtype=np.float32)[:, None]
    part = sample_of(x, 4, seed=0)
    assert len(part) == len(np.unique(part)) == 4 * SAMPLE
    assert np.array_equal(part, sample_of(x, 4, seed=0))
    assert not np.array_equal(part, sample_of(x, 4, seed=1))
    whole = sample_of(x, 10, seed=0)
    assert np.array_equal(whole, x)
    assert not np.shares_memory(whole, x)


def test_memory_is_that_of_a_block_not_of_the_catalogue() -> None:
    x, book = cloud(60_000, 4), cloud(256, 4, seed=1)
    tracemalloc.start()
    nearest(x, book)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * len(x) * len(book) * 4  # of all distances at once


@pytest.mark.parametrize("n_distinct", [1, 3])
def test_few_distinct_vectors_are_all_found(n_distinct: int) -> None:
    x = np.repeat(cloud(n_distinct, 5) + 100, 20, axis=0).astype(np.float32)
    codes, distances = nearest(x, kmeans(x, 8, 20, np.random.default_rng(0)))
    assert len(np.unique(codes)) == n_distinct
    np.testing.assert_allclose(distances, 0, atol=0.05)  # float32 of vectors of length 200


def test_codes_without_items_move_to_those_that_fare_worst(monkeypatch) -> None:
    """All starts lie in one place, and only moving them can use them."""
    monkeypatch.setattr("etalage.tokenize.kmeans._far_apart", lambda x, k, rng: x[[0] * k].copy())
    x = cloud(400, 3)
    codes, distances = nearest(x, kmeans(x, 16, 4, np.random.default_rng(0)))
    assert len(np.unique(codes)) == 16
    assert distances.sum() < 0.5 * ((x - x.mean(0)) ** 2).sum()
