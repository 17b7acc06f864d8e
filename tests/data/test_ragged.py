"""Histories, item sets and logs: exact on small cases, equal to plain Python on random ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets, gather
from etalage.errors import DataError
from etalage.ids import Vocabulary

rows_of_items = st.lists(st.lists(st.integers(0, 20), max_size=7), max_size=8)


@given(rows_of_items, st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_slices_and_rows_build_the_same_histories(rows: list[list[int]], length: int) -> None:
    sets = ItemSets.from_rows(rows)
    cut = Histories.from_slices(sets.items, sets.offsets[:-1], sets.offsets[1:], length)
    assert cut.items.tolist() == Histories.from_rows(rows, length).items.tolist()
    assert cut.lengths.tolist() == [min(len(row), length) for row in rows]


@given(rows_of_items, st.randoms())
@settings(max_examples=100, deadline=None)
def test_gather_copies_each_slice(rows: list[list[int]], random: object) -> None:
    sets = ItemSets.from_rows(rows)
    order = np.arange(len(rows))[::-1]
    assert [r.tolist() for r in sets.take(order)] == rows[::-1]
    whole = gather(sets.items, sets.offsets[:-1], sets.offsets[1:])
    assert whole.offsets.tolist() == sets.offsets.tolist()


def test_recency_weights_fall_with_age_and_skip_padding() -> None:
    weights = Histories.from_rows([[5, 6, 7], [8]], length=3).recency_weights(1.0)
    np.testing.assert_allclose(weights, [[1 / 3, 1 / 2, 1], [0, 0, 1]], rtol=1e-6)


def test_a_history_matrix_adds_up_repeats() -> None:
    histories = Histories.from_rows([[1, 2, 1]])
    matrix = histories.to_matrix(np.ones((1, 3), np.float32), 4).toarray()
    assert matrix.tolist() == [[0, 2, 1, 0]]


def test_histories_refuse_other_shapes() -> None:
    with pytest.raises(DataError, match=r"int32 array of shape \(B, L\); got int64"):
        Histories(np.zeros((2, 2), np.int64))


def test_a_log_is_sorted_and_ties_keep_their_order() -> None:
    log = Interactions.from_arrays([1, 0, 1, 1], [3, 2, 9, 4], [5, 1, 5, 2])
    assert log.users.tolist() == [0, 1, 1, 1]
    assert log.items.tolist() == [2, 4, 3, 9]
    assert log.offsets.tolist() == [0, 1, 4]
    assert log.before(5).items.tolist() == [2, 4]


def test_a_log_refuses_an_index_outside_its_vocabulary() -> None:
    with pytest.raises(DataError, match="outside"):
        Interactions.from_arrays([0], [7], n_users=1, n_items=5)


def test_vocabularies_read_numbers_written_as_text_and_refuse_repeats() -> None:
    numbers = Vocabulary([10, 20])
    assert numbers.indices(["20", 10, "x", 30]).tolist() == [1, 0, -1, -1]
    assert Vocabulary(["10"]).index(10) == 0
    with pytest.raises(DataError, match="distinct"):
        Vocabulary(["a", "a"])
    with pytest.raises(DataError, match="int, str"):
        Vocabulary(["a", 1])  # type: ignore[list-item]


def test_items_beyond_the_catalogue_never_reach_a_matrix() -> None:
    far = Histories.from_rows([[1, 2_000_000_000]])
    with pytest.raises(DataError, match="a history has item 2,000,000,000, but there are 3 items"):
        far.to_matrix(np.ones((1, 2), np.float32), 3)


def test_unknown_items_leave_a_set() -> None:
    sets = ItemSets.from_rows([[-1], [2, -1, 0], [], [1, -1]])
    assert [row.tolist() for row in sets.known(3, "a set")] == [[], [2, 0], [], [1]]
    whole = ItemSets.from_rows([[2], [0]])
    assert whole.known(3, "a set") is whole
    with pytest.raises(DataError, match="a set has item 2, but there are 2 items, 0 to 1"):
        whole.known(2, "a set")
