"""Splits never let the future into training, and ask about exactly what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.data.interactions import Interactions
from etalage.data.ragged import ItemSets
from etalage.data.split import global_time, leave_one_out
from etalage.errors import DataError

events = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 8), st.integers(0, 30)), min_size=20, max_size=80
)


def log_of(rows: list[tuple[int, int, int]]) -> Interactions:
    users, items, times = zip(*rows, strict=True)
    return Interactions.from_arrays(users, items, times, n_users=6, n_items=9)


@given(events)
@settings(max_examples=150, deadline=None)
def test_a_time_split_asks_about_the_last_moment_and_shows_only_what_came_before(rows) -> None:
    log = log_of(rows)
    try:
        split = global_time(log, valid=0.2, test=0.2)
    except DataError:
        return  # too many events share a timestamp
    assert split.cut_ms is not None
    assert (split.train.times < split.cut_ms).all()
    valid_end = split.test.times.min() if len(split.test) else None
    for queries in (split.valid, split.test):
        histories, targets = list(queries.seen()), list(queries.targets())
        for q, user in enumerate(queries.users):
            moment = queries.times[q]
            mine = [(t, i) for u, i, t in rows if u == user]
            assert moment >= split.cut_ms
            assert set(targets[q].tolist()) == {i for t, i in mine if t == moment}
            assert sorted(histories[q].tolist()) == sorted(i for t, i in mine if t < moment)
            assert len(histories[q]) > 0
    if valid_end is not None and len(split.valid):
        assert split.valid.times.max() < valid_end


@given(events)
@settings(max_examples=60, deadline=None)
def test_what_happens_after_the_cut_cannot_change_what_is_learnt(rows) -> None:
    log = log_of(rows)
    try:
        split = global_time(log, valid=0.2, test=0.2)
    except DataError:
        return
    cut = split.cut_ms
    other = log_of([(u, (i + 1) % 9 if t >= cut else i, t) for u, i, t in rows])
    again = global_time(other, valid=0.2, test=0.2).train
    assert again.frame.equals(split.train.frame)


def test_leave_one_out_takes_the_last_two_of_each_person() -> None:
    log = Interactions.from_arrays([0, 0, 0, 0, 1, 1], [4, 5, 6, 7, 1, 2], n_items=8)
    split = leave_one_out(log)
    assert split.train.items.tolist() == [4, 5, 1, 2]
    assert [t.tolist() for t in split.valid.targets()] == [[6]]
    assert [t.tolist() for t in split.test.targets()] == [[7]]
    assert split.test.histories(2).items.tolist() == [[5, 6]]


def test_distinct_sets_hold_each_item_once() -> None:
    sets = ItemSets.from_rows([[3, 1, 3], [], [2, 2]]).distinct()
    assert [r.tolist() for r in sets] == [[1, 3], [], [2]]


@pytest.mark.parametrize(("valid", "test"), [(0, 0.1), (0.5, 0.5), (-1, 0.2)])
def test_shares_that_make_no_sense_are_refused(valid: float, test: float) -> None:
    log = Interactions.from_arrays([0, 0, 0], [1, 2, 3], n_items=4)
    with pytest.raises(DataError, match="sum to less than 1"):
        global_time(log, valid=valid, test=test)


def test_a_log_that_cannot_be_cut_says_why() -> None:
    same = Interactions.from_arrays([0, 1, 2], [1, 2, 3], [7, 7, 7], n_items=4)
    with pytest.raises(DataError, match="3 interactions at 1 different times"):
        global_time(same)
    with pytest.raises(DataError, match="empty"):
        global_time(same.rows(np.zeros(3, bool)))
