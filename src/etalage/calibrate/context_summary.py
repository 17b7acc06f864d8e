"""What must be kept of a billion impressions to calibrate by field? Counts, by context and logit.

Cells of a sixteenth of a logit hold rows, clicks and the sum of logits of each context in them, so
what is kept grows with contexts and not with rows. Summaries add up, as `LogitSummary` does; what
is fitted to the few rows that they make is what would be fitted to all, but for where in its cell
a row stood.

Letters: n rows, F fields, R cells that hold something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.bases import Codes
from etalage.calibrate.calibrator import Floats, checked_rows
from etalage.calibrate.distinct import equal_rows
from etalage.calibrate.fields import checked_context
from etalage.calibrate.summary import REACH, Rows
from etalage.errors import DataError

PER_LOGIT = 16
"""Cells a logit, between -16 and 16; what lies beyond is taken to lie there."""


class WeightedRows(NamedTuple):
    """Rows for `fit`, in its order."""

    logits: Floats  # (n,)
    clicks: Floats  # (n,)
    context: Codes  # (n, F)
    weights: Floats  # (n,)


@dataclass(eq=False)
class ContextSummary:
    """Rows, clicks and sums of logits by context and cell; those of parts add up to that of all.

    >>> part = ContextSummary.of([-1.0, -1.0], [0, 1], [[3], [3]])
    >>> (part + part).rows().weights.tolist()
    [2.0, 2.0]
    """

    keys: Codes  # (R, F + 1), context and cell, in rising order
    sums: Floats  # (R, 3), of weights, weights of clicks, and weights times logits

    @classmethod
    def of(
        cls,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Summarises logits (n,), clicks 0 or 1 (n,), contexts (n, F) and weights (n,)."""
        x, y, scales = checked_rows(logits, clicks, weights)
        columns = checked_context(context, len(x))
        x = x.clip(-REACH, REACH)
        cells = np.floor(x * PER_LOGIT).astype(np.int64).clip(max=int(REACH * PER_LOGIT) - 1)
        sums = np.stack([scales, scales * y, scales * x], 1)
        keys = np.column_stack([*np.where(columns < 0, -1, columns), cells])
        return cls(*_reduced(keys, sums))

    def __add__(self, other: ContextSummary) -> ContextSummary:
        if self.keys.shape[1] != other.keys.shape[1]:
            raise DataError(
                f"a summary of {self.keys.shape[1] - 1} fields and one of "
                f"{other.keys.shape[1] - 1} do not add up"
            )
        keys = np.concatenate([self.keys, other.keys])
        return ContextSummary(*_reduced(keys, np.concatenate([self.sums, other.sums])))

    def scaled(self, factor: float) -> ContextSummary:
        """The same rows, each worth `factor` as much: what is older decays."""
        return ContextSummary(self.keys, factor * self.sums)

    def rows(self) -> WeightedRows:
        """What `fit` of any calibrator takes: `model.fit(*summary.rows())`."""
        mass, clicks, total = self.sums.T
        middle = total / np.maximum(mass, np.finfo(np.float64).tiny)
        x, came, weights = Rows(middle, clicks, mass).labelled()
        context = np.tile(self.keys[:, :-1], (2, 1))
        kept = weights > 0
        return WeightedRows(x[kept], came[kept], context[kept], weights[kept])


def _reduced(keys: Codes, sums: Floats) -> tuple[Codes, Floats]:
    """Rows of equal keys as one, in rising order."""
    if not len(keys):
        return keys, sums
    order, firsts = equal_rows([*keys.T[::-1]])
    return keys[order[firsts]], np.add.reduceat(sums[order], firsts)
