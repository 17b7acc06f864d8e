"""What may a curve that never falls be served as? A table, and by how much it is off at most.

Between two points a < b a curve F that does not fall lies between F(a) and F(b), whatever it does
there, and so does a straight line c between c(a) and c(b); so neither is further from the other
than max(F(b) - c(a), c(b) - F(a)). Cells between knots are halved until that holds for all points
of all cells. Nothing is asked of F but that it does not fall.

What is straight between knots anyway, as `FieldEffects` and `MCNet` by value are, is the smaller
table itself; this is for curves that are not, and for contexts that are few.

Letters: n rows, F fields, C contexts, M knots.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.bases import Codes, rows_of
from etalage.calibrate.calibrator import Calibrator, Floats, checked_logits
from etalage.calibrate.fields import checked_context
from etalage.calibrate.summary import REACH, LogitSummary
from etalage.errors import DataError

ERROR = 1e-3
POINTS = 256
"""Of a cell, at which the curve is asked."""
CELLS = 32
"""To begin with."""
MOST_CELLS = 1 << 14
MOST_CONTEXTS = 5000
"""At a fiftieth of a second each."""
ROWS = 1 << 21
"""Asked about at once."""


class Table(Calibrator):
    """Calibrated logits at knots for each context, float32, and straight between.

    A context that is not in it has the curve of no context. Beyond ±16 it goes on with the slope of
    the last cell.
    """

    kind: ClassVar[str] = "table"

    def __init__(self) -> None:
        self.error = 0.0
        """How far, at most, a logit between -16 and 16, of a context that was kept or of none, is
        from that of what was tabulated. Its probability is then off by at most a quarter of it,
        and by e^error - 1 of itself."""
        self.knots = np.zeros(0)
        self.values: NDArray[np.float32] = np.zeros((0, 0), np.float32)  # (C + 1, M)
        self.contexts: Codes = np.zeros((0, 0), np.int64)  # (C, F)

    @classmethod
    def of(
        cls, calibrator: Calibrator, contexts: ArrayLike | None = None, error: float = ERROR
    ) -> Self:
        """Tabulates a calibrator for contexts (C, F); without any, for none.

        Raises:
            DataError: for a curve that falls, or is too steep for the error, and for more contexts
                than can be kept.
        """
        if not 1e-5 <= error <= 1:
            raise DataError(f"error={error} must be between 0.00001 and 1")
        table, passed_on = cls(), 0.0
        if isinstance(calibrator, Table):
            passed_on = calibrator.error
        if contexts is not None:
            codes = checked_context(contexts, len(np.asarray(contexts)))
            table.contexts = np.unique(codes.T, axis=0)
        if len(table.contexts) > MOST_CONTEXTS:
            raise DataError(
                f"{len(table.contexts):,} contexts are too many for one table ({MOST_CONTEXTS:,} "
                "are kept); name those that matter, or serve the calibrator as it is"
            )
        nowhere = np.full((1, table.contexts.shape[1]), -1)
        asked = np.vstack([nowhere, table.contexts])
        ends = np.linspace(-REACH, REACH, CELLS + 1)
        cells, done = np.stack([ends[:-1], ends[1:]]), []
        while cells.shape[1]:
            below, bounds = _judged(calibrator, asked, cells)
            right = bounds <= error
            done.append((cells[0, right], below[:, right], bounds[right]))
            low, high = cells[:, ~right]
            if sum(len(start) for start, _, _ in done) + len(low) > MOST_CELLS:
                raise DataError(
                    f"{MOST_CELLS:,} cells leave an error of {bounds.max():.2g}: the curve is too "
                    f"steep for {error:g}; allow a larger error"
                )
            middle = (low + high) / 2
            cells = np.stack([np.append(low, middle), np.append(middle, high)])
        starts, values, bounds = (np.concatenate(part, -1) for part in zip(*done, strict=True))
        order = np.argsort(starts)
        last = _asked(calibrator, asked, np.array([REACH]))
        table.knots = np.append(starts[order], REACH)
        table.values = np.concatenate([values[:, order], last], 1).astype(np.float32)
        table.error = float(bounds.max()) + passed_on
        table._index()
        return table

    def learn(self, summary: LogitSummary) -> Self:
        """A table is made of another calibrator: see `of`."""
        raise DataError("a table learns nothing; fit a calibrator, then Table.of(it)")

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if not self.values.size:
            raise self.not_fitted()
        x = checked_logits(logits)
        at: Codes | int = 0
        if self.contexts.shape[1]:
            columns = checked_context(context, len(x), self.contexts.shape[1])
            at = self._rows(columns)
        cell = np.searchsorted(self.knots, x, side="right").clip(1, len(self.knots) - 1) - 1
        low, high = self.knots[cell], self.knots[cell + 1]
        below = self.values[at, cell].astype(np.float64)
        return below + (x - low) / (high - low) * (self.values[at, cell + 1] - below)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "error": self.error,
            "knots": self.knots.tolist(),
            "values": self.values.tolist(),
            "n_fields": self.contexts.shape[1],
            "contexts": self.contexts.tolist(),
        }

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        table = cls()
        table.error = float(facts["error"])
        table.knots = np.array(facts["knots"], dtype=np.float64)
        table.values = np.array(facts["values"], dtype=np.float32)
        n_contexts, n_knots = table.values.shape
        table.contexts = np.array(facts["contexts"], dtype=np.int64)
        table.contexts = table.contexts.reshape(n_contexts - 1, int(facts["n_fields"]))
        if len(table.knots) != n_knots or n_knots < 2 or not (np.diff(table.knots) > 0).all():
            raise ValueError("the knots do not rise, or are not as many as the values")
        if not (np.isfinite(table.values).all() and (np.diff(table.values) >= 0).all()):
            raise ValueError("a curve falls, or a number is not finite")
        table._index()
        return table

    def _index(self) -> None:
        """Makes contexts findable, field by field: each prefix that there is has a number."""
        self._prefixes: list[tuple[Codes, Codes]] = []
        prefix = np.zeros(len(self.contexts), dtype=np.int64)
        for codes in self.contexts.T:
            known = np.unique(codes)
            key = prefix * (len(known) + 1) + rows_of(known, codes)
            self._prefixes.append((known, np.unique(key)))
            prefix = rows_of(self._prefixes[-1][1], key)
        if not np.array_equal(prefix, np.arange(len(prefix)) + bool(self._prefixes)):
            raise ValueError("contexts do not rise")

    def _rows(self, columns: Codes) -> Codes:
        """Row of each context (F, n), from 1; 0 is none of them."""
        prefix = np.zeros(columns.shape[1], dtype=np.int64)
        for (known, keys), codes in zip(self._prefixes, columns, strict=True):
            prefix = rows_of(keys, prefix * (len(known) + 1) + rows_of(known, codes))
        return prefix


def _judged(calibrator: Calibrator, contexts: Codes, cells: Floats) -> tuple[Floats, Floats]:
    """Calibrated logits at the start of cells (2, M) in contexts (C + 1, F), and how far a straight
    line over each cell is off at most, (M,)."""
    n_cells = cells.shape[1]
    shares = np.linspace(0, 1, POINTS + 1)
    points = cells[0] + np.outer(shares, cells[1] - cells[0])  # (points, M)
    below, bounds = [], np.zeros(n_cells)
    step = max(ROWS // max(points.size, 1), 1)
    for start in range(0, len(contexts), step):
        some = contexts[start : start + step]
        found = _asked(calibrator, some, points.ravel()).reshape(len(some), POINTS + 1, n_cells)
        if (np.diff(found, axis=1) < 0).any():
            raise DataError(f"{calibrator.kind} falls somewhere; only what rises can be tabulated")
        ends = found[:, [0, -1]].astype(np.float32).astype(np.float64)  # as they will be kept
        line = ends[:, :1] + shares[:, None] * (ends[:, 1:] - ends[:, :1])
        off = np.maximum(found[:, 1:] - line[:, :-1], line[:, 1:] - found[:, :-1])
        bounds = np.maximum(bounds, off.max((0, 1)))
        below.append(found[:, 0])
    return np.concatenate(below), bounds


def _asked(calibrator: Calibrator, contexts: Codes, points: Floats) -> Floats:
    """Calibrated logits of all points in all contexts, (C + 1, points)."""
    context = np.repeat(contexts, len(points), 0) if contexts.shape[1] else None
    z = calibrator.logit(np.tile(points, len(contexts)), context)
    return z.reshape(len(contexts), len(points))
