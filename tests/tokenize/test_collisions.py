"""Ids after reassignment: distinct whatever comes, near what they were, and never renamed."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.errors import DataError
from etalage.tokenize.collisions import append, reassign
from etalage.tokenize.residual import ResidualKMeans
from etalage.tokenize.semantic_ids import SemanticIds
from etalage.tokenize.slots import ParallelKMeans
from etalage.tokenize.tree import BalancedTree


def cloud(n: int = 120, width: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 27), st.integers(0, 9), st.sampled_from(["fine", "coarse", "equal"]),
    st.sampled_from([ResidualKMeans, ParallelKMeans]),
)  # fmt: skip
def test_as_many_ids_as_items_up_to_the_last(n: int, seed: int, kind: str, make) -> None:
    """27 ids for up to 27 items, however much alike they are."""
    x = {"fine": 1, "coarse": 0.5, "equal": 0}[kind] * cloud(n, seed=seed)
    x = np.round(x) if kind == "coarse" else x
    quantizer = make(3, 3, seed=seed)
    codes = quantizer.fit_encode(x)
    found = reassign(codes, quantizer, x)
    assert len(np.unique(found.ids.codes, axis=0)) == n
    assert found.ids.sizes == (3, 3, 3)
    assert found.n_changed == (found.ids.codes != codes).any(1).sum()
    groups = np.unique(codes, axis=0, return_counts=True)[1]
    assert found.n_changed >= (groups - 1).sum()
    if make is ResidualKMeans and found.n_changed == 0:
        assert found.distortion_after == found.distortion_before


def test_only_prefixes_that_collide_are_touched() -> None:
    x = cloud(300)
    quantizer = ResidualKMeans(2, 24).fit(x)
    codes = quantizer.encode(x)
    found = reassign(codes, quantizer, x)
    for first in range(24):
        rows = codes[:, 0] == first
        alone = len(np.unique(codes[rows], axis=0)) == rows.sum()
        same = np.array_equal(found.ids.codes[rows], codes[rows])
        assert same or not alone
        assert rows.sum() > 24 or np.array_equal(found.ids.codes[rows, 0], codes[rows, 0])
    assert found.n_changed > 0
    assert found.distortion_after >= found.distortion_before


def test_inside_a_prefix_no_other_choice_is_cheaper() -> None:
    x = cloud(5, 2)
    quantizer = ResidualKMeans(1, 6, n_iterations=1).fit(cloud(50, 2, seed=1))
    codes = np.zeros((5, 1), np.int32)
    found = reassign(codes, quantizer, x)
    apart = ((x[:, None] - quantizer.codebooks[0]) ** 2).sum(2)
    best = min(apart[range(5), list(p)].mean() for p in permutations(range(6), 5))
    assert found.distortion_after == pytest.approx(best, rel=1e-5)
    assert found.distortion_before == pytest.approx(apart[:, 0].mean(), rel=1e-5)


def test_what_does_not_fit_moves_to_the_nearest_prefix_with_room() -> None:
    """Points on a line: 3 codes of 10, 20, 30 and 2 of the rest; four items stand near 20."""
    quantizer = ResidualKMeans(2, 3)
    books = np.array([[[10], [20], [30]], [[-1], [0], [1]]], np.float32)
    quantizer.restore({"codebooks": books})
    x = np.array([[19], [20], [21], [22], [10]], np.float32)
    found = reassign(quantizer.encode(x), quantizer, x)
    assert found.ids.codes.tolist() == [[1, 0], [1, 1], [1, 2], [2, 0], [0, 1]]
    assert found.n_changed == 1  # 22 was spelled as 21 is, and went to 29
    assert found.distortion_after == pytest.approx(49 / 5)


def test_a_full_catalogue_is_refused_and_so_is_a_wrong_shape() -> None:
    quantizer = ResidualKMeans(2, 3).fit(cloud(20))
    with pytest.raises(DataError, match=r"10 items need ids.*only 9; fit a"):
        reassign(quantizer.encode(cloud(10)), quantizer, cloud(10))
    with pytest.raises(DataError, match="a row for each vector"):
        reassign(quantizer.encode(cloud(5)), quantizer, cloud(6))
    ids = reassign(quantizer.encode(cloud(9)), quantizer, cloud(9)).ids
    with pytest.raises(DataError, match="10 items need ids"):
        append(ids, quantizer, cloud(1, seed=3))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 24), st.integers(0, 9), st.booleans())
def test_new_items_change_no_id_that_is_there(n: int, m: int, seed: int, equal: bool) -> None:
    x, new = cloud(n, seed=seed), cloud(m, seed=seed + 50) * (not equal)
    quantizer = ResidualKMeans(3, 4, seed=seed)
    ids = reassign(quantizer.fit_encode(x), quantizer, x).ids
    grown = ids if not m else append(ids, quantizer, new)
    assert np.array_equal(grown.codes[:n], ids.codes)
    assert (len(grown), grown.sizes) == (n + m, ids.sizes)  # and SemanticIds has checked the rest


def test_a_new_item_gets_its_own_code_where_that_is_free() -> None:
    x = cloud(40)
    quantizer = ResidualKMeans(3, 8).fit(x)
    ids = SemanticIds(quantizer.encode(x[:1]), quantizer.sizes)
    other = next(i for i in range(1, 40) if (quantizer.encode(x[[0, i]])[1] != ids.codes[0]).any())
    grown = append(ids, quantizer, x[[other]])
    assert grown.codes[1].tolist() == quantizer.encode(x[[other]])[0].tolist()
    again = append(grown, quantizer, x[[other]])  # and beside it where it is not
    assert again.codes[2, :2].tolist() == grown.codes[1, :2].tolist()


def test_new_items_get_free_numbers_of_an_extra_level() -> None:
    x = np.repeat(np.eye(3, dtype=np.float32), [4, 1, 1], axis=0)
    quantizer = ResidualKMeans(1, 3).fit(x)
    ids = SemanticIds.distinct(quantizer.encode(x), quantizer.sizes)
    assert ids.sizes == (3, 4)
    grown = append(ids, quantizer, np.eye(3, dtype=np.float32)[[1, 1]])
    same = grown.codes[grown.codes[:, 0] == ids.codes[4, 0]]
    assert sorted(same[:, 1].tolist()) == [0, 1, 2]


def test_a_tree_takes_new_items_while_it_has_leaves() -> None:
    quantizer = BalancedTree(4)
    ids = SemanticIds(quantizer.fit_encode(cloud(13)), quantizer.sizes)
    grown = append(ids, quantizer, cloud(3, seed=1))
    assert len(grown) == 16
    with pytest.raises(DataError, match="17 items need ids"):
        append(grown, quantizer, cloud(1, seed=2))


def test_codes_that_are_not_the_nearest_stay_where_none_collides() -> None:
    quantizer = ResidualKMeans(2, 6).fit(cloud(60))
    codes = np.array([[0, 3], [0, 1], [0, 5], [1, 2], [1, 2]], np.int32)
    found = reassign(codes, quantizer, cloud(5))
    assert np.array_equal(found.ids.codes[:3], codes[:3])
    assert found.ids.codes[3:, 0].tolist() == [1, 1]
