"""What may a model know, and what is it asked? Leak-proof splits of a log.

Letters: Q queries, M interactions of the whole log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets, gather
from etalage.errors import DataError


@dataclass(frozen=True)
class Queries:
    """Questions with known answers: one person, what they had done, what they did next.

    Query q is three numbers into one log: `history = flat[starts[q]:ends[q]]` and
    `targets = flat[ends[q]:stops[q]]`, so no history is ever copied per prefix. Targets are a
    set: where several items share the final timestamp, all of them count, and the history is
    strictly earlier than all of them.
    """

    flat: NDArray[np.int32]  # (M,) items of the log, by user and time
    users: NDArray[np.int32]  # (Q,)
    starts: NDArray[np.int64]  # (Q,)
    ends: NDArray[np.int64]  # (Q,)
    stops: NDArray[np.int64]  # (Q,)
    times: NDArray[np.int64]  # (Q,) milliseconds UTC of the targets
    n_items: int

    def __len__(self) -> int:
        return len(self.users)

    def histories(self, length: int) -> Histories:
        """The newest `length` items before the targets, int32 (Q, L)."""
        return Histories.from_slices(self.flat, self.starts, self.ends, length)

    def seen(self) -> ItemSets:
        """Everything each person did before the targets, oldest first."""
        return gather(self.flat, self.starts, self.ends)

    def targets(self) -> ItemSets:
        """What each person did next, each item once."""
        return gather(self.flat, self.ends, self.stops).distinct()

    def take(self, rows: NDArray[np.integer] | slice) -> Queries:
        """Returns some of the queries."""
        return Queries(
            self.flat,
            self.users[rows],
            self.starts[rows],
            self.ends[rows],
            self.stops[rows],
            self.times[rows],
            self.n_items,
        )


@dataclass(frozen=True)
class Split:
    """A log cut in three: what to learn from, what to choose by, what to be judged on."""

    train: Interactions
    valid: Queries
    test: Queries
    kind: str
    """The rule, in the words of the recipe: 'global_time' or 'leave_one_out'."""
    cut_ms: int | None = None
    """First moment that training must not see (global time split only)."""
    test_ms: int | None = None
    """First moment that nothing may be chosen by (global time split only)."""


def leave_one_out(interactions: Interactions) -> Split:
    """Last event of each person tests, the one before validates, the rest trains.

    This is the rule of most published tables: events in file order within a timestamp, exactly
    one target each. It lets a model learn from other people's future; prefer `global_time` for
    decisions. People with fewer than three events only train.
    """
    starts, stops = interactions.offsets[:-1], interactions.offsets[1:]
    people = np.flatnonzero(stops - starts >= 3)
    keep = np.ones(len(interactions), dtype=bool)
    keep[stops[people] - 1] = False
    keep[stops[people] - 2] = False

    def ask(last: int) -> Queries:
        ends = stops[people] - last
        return Queries(
            interactions.items,
            people.astype(np.int32),
            starts[people],
            ends,
            ends + 1,
            interactions.times[ends] if len(ends) else np.zeros(0, np.int64),
            interactions.n_items,
        )

    return Split(interactions.rows(keep), valid=ask(2), test=ask(1), kind="leave_one_out")


def global_time(interactions: Interactions, *, valid: float = 0.1, test: float = 0.1) -> Split:
    """Cuts the log at two moments, so that nothing is learnt from anyone's future.

    `valid` and `test` are shares of the interactions. The question about a person in a window is
    the set of items at their last timestamp in it; the history is all that is strictly earlier,
    the window's own earlier events included. People without a history are not asked about.

    Raises:
        DataError: when the log is too short, or too many events share one timestamp, to cut.
    """
    if not (valid > 0 and test > 0 and valid + test < 1):
        raise DataError(f"valid={valid} and test={test} must be positive and sum to less than 1")
    times = np.sort(interactions.times)
    if not len(times):
        raise DataError("the log is empty; there is nothing to split")
    train_end = int(times[int(len(times) * (1 - valid - test))])
    valid_end = int(times[int(len(times) * (1 - test))])
    if not times[0] < train_end < valid_end <= times[-1]:
        raise DataError(
            f"{len(times):,} interactions at {len(np.unique(times)):,} different times cannot be "
            "cut by time into three parts: they are too few, or too many share one time; check "
            "the time column, or use leave_one_out (data.split.kind in a recipe)"
        )
    valid_queries = _last_in_window(interactions, train_end, valid_end)
    test_queries = _last_in_window(interactions, valid_end, int(times[-1]) + 1)
    train = interactions.before(train_end)
    return Split(train, valid_queries, test_queries, "global_time", train_end, valid_end)


def _last_in_window(interactions: Interactions, start_ms: int, stop_ms: int) -> Queries:
    """Asks about each person's final timestamp in [start, stop)."""
    users, times = interactions.users, interactions.times
    known = np.flatnonzero(times < stop_ms)
    # rows are sorted by user and time, so the last known row of a user ends the targets
    is_last = np.ones(len(known), dtype=bool)
    is_last[:-1] = users[known[1:]] != users[known[:-1]]
    last = known[is_last]
    last = last[times[last] >= start_ms]
    # the targets begin where the run of equal (user, time) begins
    changes = np.ones(len(users), dtype=bool)
    changes[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
    run_start = np.maximum.accumulate(np.where(changes, np.arange(len(users)), 0))
    ends = run_start[last]
    starts = interactions.offsets[users[last]]
    asked = ends > starts
    last, ends, starts = last[asked], ends[asked], starts[asked]
    return Queries(
        interactions.items,
        users[last],
        starts,
        ends,
        last + 1,
        times[last],
        interactions.n_items,
    )
