"""What is there more than once? Rows, and contexts, each taken once.

Letters: n rows, F fields, C contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from etalage.calibrate.bases import Codes
from etalage.calibrate.calibrator import Floats


class DistinctRows(NamedTuple):
    """Rows that differ, in an order of their own, each with its weight: neither the order of a log
    nor what is there twice makes a difference to what is learnt from them by chance."""

    x: Floats  # (n,)
    y: Floats  # (n,)
    codes: Codes  # (n, F)
    scales: Floats  # (n,)

    @classmethod
    def of(cls, x: Floats, y: Floats, codes: Codes, scales: Floats) -> DistinctRows:
        """Sorts and adds up; rows without weight are none."""
        order, firsts = equal_rows([y, x, *codes.T])
        total = np.add.reduceat(scales[order], firsts)
        kept = order[firsts[total > 0]]
        return cls(x[kept], y[kept], codes[kept], total[total > 0])

    def parted(self, share: float, rng: np.random.Generator) -> tuple[DistinctRows, DistinctRows]:
        """All but a share of the weight, and that share: of a row that is there ten times, some
        are in either."""
        whole = np.floor(self.scales)
        held = rng.binomial(whole.astype(np.int64), share).astype(np.float64)
        held += (self.scales - whole) * (rng.random(len(whole)) < share)
        return self._with(self.scales - held), self._with(held)

    def split(self, least: int) -> DistinctRows:
        """The same with rows that were there many times in several parts, so that there are `least`
        to draw from, or as many as there were."""
        parts = np.ceil(self.scales / max(self.scales.sum() / least, 1)).astype(np.int64)
        rows = np.repeat(np.arange(len(parts)), parts)
        scales = (self.scales / parts)[rows]
        return DistinctRows(self.x[rows], self.y[rows], self.codes[rows], scales)

    def _with(self, scales: Floats) -> DistinctRows:
        some = scales > 0
        return DistinctRows(self.x[some], self.y[some], self.codes[some], scales[some])


def equal_rows(columns: Sequence[NDArray[Any]]) -> tuple[Codes, Codes]:
    """An order of rows by columns (n,), the last before all, and where in it each stretch of equal
    rows begins."""
    order = np.lexsort(columns)
    changes = np.zeros(max(len(order) - 1, 0), dtype=bool)
    for column in columns:
        changes |= np.diff(column[order]) != 0
    return order, np.flatnonzero(np.append(True, changes))


def distinct_contexts(rows: list[Codes], sizes: list[int]) -> tuple[Codes, Codes]:
    """Contexts (C, F) that differ, and which of them each row has, (n,).

    Args:
        rows: of each field the row of its value, (n,), below its size.
        sizes: values of each field.
    """
    key = np.zeros_like(rows[0])
    for row, size in zip(rows, sizes, strict=True):
        if key.max(initial=0) > np.iinfo(np.int64).max // size - 1:
            _, key = np.unique(key, return_inverse=True)
        key = key * size + row
    _, firsts, at = np.unique(key, return_index=True, return_inverse=True)
    return np.stack([row[firsts] for row in rows], 1), at
