"""What did this person not choose? Negatives drawn exactly, without a loop and without rejection.

Letters: B people, N items, M entries of all seen sets, Q draws asked for, n negatives a draw.

Lay the weights of all items end to end on a line of length W. A person's seen items are holes in
it; what remains has length W - w(seen). A number drawn uniformly from what remains is moved right
by the holes before it, and lands on an unseen item with a probability in proportion to its weight.
With whole weights this is integer arithmetic, so it is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from etalage.data.ragged import ItemSets
from etalage.errors import CapacityError, DataError


class NegativeSampler:
    """Draws items that a person has never seen, with replacement.

    `weights` (int64 (N,), for example `interactions.popularity()`) gives the odds of each item;
    without it all are alike. Items of weight 0 are never drawn.

    >>> sampler = NegativeSampler(ItemSets.from_rows([[0, 2], [0, 1, 2, 3]]), n_items=4)
    >>> sorted(set(sampler.draw([0], 50, np.random.default_rng(0))[0].tolist()))
    [1, 3]
    >>> sampler.draw([1], 2, np.random.default_rng(0)).tolist()
    [[-1, -1]]
    """

    def __init__(
        self, seen: ItemSets, n_items: int, weights: NDArray[np.integer] | None = None
    ) -> None:
        self._is_even = weights is None
        if weights is None:
            weights = np.ones(n_items, dtype=np.int64)
        if weights.shape != (n_items,) or weights.dtype.kind not in "iu" or (weights < 0).any():
            raise DataError(
                f"weights must be {n_items:,} whole numbers, none negative; got {weights.dtype} of "
                f"shape {weights.shape}. Scale and round fractions, e.g. (1000 * w).round()"
            )
        seen = seen.distinct()
        if len(seen.items) and not 0 <= seen.items.min() <= seen.items.max() < n_items:
            raise DataError(f"a seen item lies outside 0..{n_items - 1}")
        self._ends = np.cumsum(weights, dtype=np.int64)  # (N,) where each item ends on the line
        total = int(self._ends[-1]) if n_items else 0
        self._stride = total + 1
        if self._stride * (len(seen) + 1) >= 2**63:
            raise CapacityError(
                f"weights that sum to {total:,} for {len(seen):,} people exceed 64 bits; scale "
                "the weights down"
            )
        holes = weights[seen.items].astype(np.int64)
        filled = np.concatenate([[0], np.cumsum(holes)])  # (M + 1,) over all people
        rows = seen.row_of_entry
        self._starts = seen.offsets[:-1]
        self._before = filled[:-1] - filled[self._starts[rows]]  # (M,) holes left of each hole
        self._room = total - (filled[seen.offsets[1:]] - filled[self._starts])  # (B,)
        # what remains to the left of each hole; one sorted array of all people, told apart by row
        left = self._ends[seen.items] - holes - self._before
        self._keys = rows * self._stride + left  # (M,)
        self._holes = holes

    def draw(
        self, rows: NDArray[np.integer] | list[int], n: int, rng: np.random.Generator
    ) -> NDArray[np.int32]:
        """Returns n negatives for each of Q people (rows of the seen sets), int32 (Q, n).

        A person who has seen everything that can be drawn gets -1.
        """
        people = np.asarray(rows, dtype=np.int64)
        room = self._room[people][:, None]  # (Q, 1)
        drawn = rng.integers(0, np.maximum(room, 1), size=(len(people), n))  # (Q, n)
        passed = np.searchsorted(self._keys, people[:, None] * self._stride + drawn, side="right")
        last = passed - 1  # the last hole at or left of the number drawn, if it is this person's
        is_moved = passed > self._starts[people][:, None]
        if len(self._keys):
            drawn = drawn + np.where(is_moved, self._before[last] + self._holes[last], 0)
        # where all weigh one, the item that a number lands on is that number
        items = drawn if self._is_even else np.searchsorted(self._ends, drawn, side="right")
        return np.where(room > 0, items, -1).astype(np.int32)
