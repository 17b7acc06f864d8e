"""What may a model know, and what is it asked? Leak-proof splits of a log.

Letters: Q queries, M interactions of the whole log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets, gather


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
        """What each person did next."""
        return gather(self.flat, self.ends, self.stops)

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
