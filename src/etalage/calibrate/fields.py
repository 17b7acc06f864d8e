"""Does a site, a user, an advertiser differ from the rest? A curve of its own, shrunk to theirs.

Over a global curve u = g(l) each value v of each field bends the logit by a smooth function,

    logit p = u + Σ_fields d_v(u),   d_v(u) = Σ_k θ_vk φ_k(u),   θ_vk ~ N(m_k, s_k²).

φ_0 is 1, φ_1 a line, and the others bend ever faster (Demmler and Reinsch, 1975), each linear
between knots. Means and variances of a field are learnt from all of its values (empirical Bayes):
one with few rows stays near them, one with many speaks for itself, and shapes that no value needs
vanish. One never seen is g: the mean over values of the curves is not the curve of their mixture,
which is what g is. With two bases it is an intercept and a slope a value.

Letters: n rows, F fields, V values of a field, M knots, K bases.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.bases import Bases, Codes, Places, bounded, rows_of
from etalage.calibrate.calibrator import Calibrator, Floats, checked_rows, from_dict, sigmoid
from etalage.calibrate.isotonic import SmoothIsotonic
from etalage.calibrate.summary import LogitSummary
from etalage.errors import DataError

ROUNDS = 12
"""Of one Newton step for all values, and new variances."""
START = 0.1
"""Variances to begin with."""
LEAST = 1e-6
"""A variance below which a shape is gone."""
FARTHEST = 2.0
"""How far a step may move a value's logit."""
LEVELLINGS = 5
"""Rounds after slopes were cut."""
STEEPEST = 0.95
"""How much of the slope 1 values may take away, all fields together: no order is turned."""


class Effects(NamedTuple):
    """What was learnt of the values of a field."""

    theta: Floats  # (V, K)
    means: Floats  # (K,)
    variances: Floats  # (K,)


class FieldEffects(Calibrator):
    """A curve for all, and for each value of each field what it differs by.

    The context of `fit` and `logit` has a column a field, whole numbers from 0; a negative one is
    no value. Order is kept among rows of the same context, and no two of their logits are tied, but
    where those of the curve of all rows are.

    Args:
        curve: that of all rows; smoothed isotonic where none is given.
        n_bases: shapes that a value may have of its own; 1 is an intercept, 2 a slope besides.
    """

    kind: ClassVar[str] = "fields"

    def __init__(self, curve: Calibrator | None = None, n_bases: int = 8) -> None:
        self.curve = SmoothIsotonic() if curve is None else curve
        self.n_bases = n_bases
        self.bases: Bases | None = None
        self.codes: list[Codes] = []
        """Codes of a field's values that were seen, rising, (V,)."""
        self.tables: list[Floats] = []
        """What each of them adds at each knot, (V, M)."""
        self.effects: list[Effects] = []
        """Where the tables come from; of a fit alone, and not saved."""

    def fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        x, y, scales = checked_rows(logits, clicks, weights)
        columns = checked_context(context, len(x))
        self.learn(LogitSummary.of(x, y, scales))
        assert self.bases is not None
        u = self.curve.logit(x)
        places, z = self.bases.places(u), u.copy()
        fields = [_Field(codes, scales, places, self.bases) for codes in columns]
        for _ in range(ROUNDS):
            for field in fields:
                field.step(z, y)
        falls = [field.steepest_fall for field in fields]
        share = min(STEEPEST / max(sum(falls), STEEPEST), 1.0)
        for field, fall in zip(fields, falls, strict=True):
            field.bound(share * fall)
        if share < 1:  # what was cut no longer has the right level
            z = u + sum(field.added(len(u)) for field in fields)
            for _ in range(LEVELLINGS):
                for field in fields:
                    field.level(z, y)
        self.codes = [field.values for field in fields]
        self.tables = [field.table for field in fields]
        self.effects = [Effects(f.theta, f.means, f.variances) for f in fields]
        return self

    def learn(self, summary: LogitSummary) -> Self:
        """The curve alone: a summary knows no fields."""
        self.curve.learn(summary)
        rows = summary.rows()
        self.bases = Bases.of(self.curve.logit(rows.logits), rows.mass, self.n_bases)
        self.codes, self.tables, self.effects = [], [], []
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        z = self.curve.logit(logits)
        if self.bases is None or not self.tables:
            return z
        cell, share = self.bases.places(z)
        columns = checked_context(context, len(z), len(self.tables))
        for table, values, codes in zip(self.tables, self.codes, columns, strict=True):
            if not len(values):
                continue
            rows = rows_of(values, codes) - 1  # -1 is any of them
            below, above = table[rows, cell], table[rows, cell + 1]
            z = z + np.where(rows >= 0, below + share * (above - below), 0.0)
        return z

    def to_dict(self) -> dict[str, Any]:
        if self.bases is None:
            raise self.not_fitted()
        return {
            "kind": self.kind,
            "curve": self.curve.to_dict(),
            "knots": self.bases.knots.tolist(),
            "shapes": self.bases.shapes.tolist(),
            "codes": [codes.tolist() for codes in self.codes],
            "tables": [table.tolist() for table in self.tables],
        }

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        shapes = np.array(facts["shapes"], dtype=np.float64)
        fitted = cls(from_dict(facts["curve"]), shapes.shape[1])
        fitted.bases = Bases(np.array(facts["knots"], dtype=np.float64), shapes)
        knots, fall = fitted.bases.knots, 0.0
        if len(knots) < 2 or len(shapes) != len(knots) or not (np.diff(knots) > 0).all():
            raise ValueError("the knots do not rise, or are not as many as the shapes say")
        for codes, rows in zip(facts["codes"], facts["tables"], strict=True):
            values = np.array(codes, dtype=np.int64)
            table = np.array(rows, dtype=np.float64).reshape(len(values), len(knots))
            if not (np.isfinite(table).all() and (np.diff(values) > 0).all()):
                raise ValueError("codes do not rise, or a number is not finite")
            fall += -(np.diff(table, axis=1) / np.diff(knots)).min(initial=0)
            fitted.codes.append(values)
            fitted.tables.append(table)
        if not fall <= STEEPEST + 1e-6:
            raise ValueError("values turn the order")
        return fitted


class _Field:
    """A field while it is fitted.

    A row touches the two knots around it, so five sums a value and cell make the gradient and the
    curvature of all shapes.
    """

    def __init__(self, codes: Codes, scales: Floats, places: Places, bases: Bases) -> None:
        self.rows: Codes | slice = np.flatnonzero((codes >= 0) & (scales > 0))
        if len(self.rows) == len(codes):
            self.rows = slice(None)
        self.values, self.codes = np.unique(codes[self.rows], return_inverse=True)
        self.scales = scales[self.rows]
        self.cell, self.share = places.cell[self.rows], places.share[self.rows]
        self.bases = bases
        n_knots, n_bases = bases.shapes.shape
        n_values = len(self.values)
        self.table = np.zeros((n_values, n_knots))
        self.shifts = np.zeros(n_values)
        self.is_cut: NDArray[np.bool_] = np.zeros(n_values, dtype=bool)
        self.theta = np.zeros((n_values, n_bases))
        self.means, self.variances = np.zeros(n_bases), np.full(n_bases, START)
        self.at = self.codes * n_knots + self.cell
        self.size = n_values * n_knots
        one = bases.shapes
        self.squares = np.einsum("mk,ml->mkl", one, one).reshape(n_knots, -1)
        across = np.einsum("mk,ml->mkl", one[:-1], one[1:])
        self.products = (across + across.transpose(0, 2, 1)).reshape(n_knots - 1, -1)

    def step(self, z: Floats, y: Floats) -> None:
        """One Newton step of all values, and the variances that they ask for; z follows."""
        if not len(self.codes):
            return
        p = sigmoid(z[self.rows])
        miss, curve = self.scales * (y[self.rows] - p), self.scales * p * (1 - p)
        left, right = 1 - self.share, self.share
        gradient = self._knots(miss * left, miss * right) @ self.bases.shapes
        gradient -= (self.theta - self.means) / self.variances
        ends = self._knots(curve * left**2, curve * right**2)  # (V, M)
        between = self._sums(curve * left * right)[:, :-1]  # (V, M - 1)
        n_bases = len(self.variances)
        shape = (-1, n_bases, n_bases)
        hessian = (ends @ self.squares + between @ self.products).reshape(shape)
        covariance = np.linalg.inv(hessian + np.diag(1 / self.variances))
        change = np.einsum("vkl,vl->vk", covariance, gradient)
        moved = change @ self.bases.shapes.T  # (V, M)
        shorter = np.minimum(FARTHEST / np.maximum(np.abs(moved).max(1), FARTHEST), 1)[:, None]
        moved *= shorter
        self.theta += change * shorter
        z[self.rows] += left * moved[self.codes, self.cell]
        z[self.rows] += right * moved[self.codes, self.cell + 1]
        self.means = self.theta.mean(0)
        self.variances = self._asked(covariance)

    def _asked(self, covariance: Floats) -> Floats:
        """Variances under which the values are likelier. Expectation maximisation takes hundreds of
        rounds to a variance of 0; squares over how many of them the rows have settled (MacKay,
        1992) are there at once, and may run away where that is none. So it is the lesser of both.
        """
        squares = (self.theta - self.means) ** 2
        left_open = np.einsum("vkk->vk", covariance)
        expected = (squares + left_open).mean(0)
        settled = np.maximum((1 - left_open / self.variances).sum(0), 1e-9)
        return np.maximum(np.minimum(expected, squares.sum(0) / settled), LEAST)

    @property
    def steepest_fall(self) -> float:
        """How much of the slope of the curve the value takes away that takes most."""
        values = self.theta @ self.bases.shapes.T
        return -float((np.diff(values, axis=1) / np.diff(self.bases.knots)).min(initial=0))

    def bound(self, fall: float) -> None:
        """Makes the table; no value falls faster than `fall`, and its mean over knots stays."""
        values = self.theta @ self.bases.shapes.T
        width = np.diff(self.bases.knots)
        slopes = np.diff(values, axis=1) / width
        self.is_cut = np.any(slopes < -fall, axis=1)
        slopes[self.is_cut] = bounded(slopes[self.is_cut], -fall)
        self.table[:, 1:] = np.cumsum(slopes * width, axis=1)
        self.table += (values - self.table).mean(1, keepdims=True)

    def added(self, n_rows: int) -> Floats:
        """What the table adds to all rows, (n,)."""
        found = np.zeros(n_rows)
        if len(self.codes):
            below, above = self.table[self.codes, self.cell], self.table[self.codes, self.cell + 1]
            found[self.rows] = below + self.share * (above - below)
        return found

    def level(self, z: Floats, y: Floats) -> None:
        """A Newton step of the levels of values that were cut, hardly held where they were; z
        follows."""
        if not len(self.codes):
            return
        p = sigmoid(z[self.rows])
        n = len(self.values)
        miss = np.bincount(self.codes, self.scales * (y[self.rows] - p), minlength=n)
        curve = np.bincount(self.codes, self.scales * p * (1 - p), minlength=n)
        step = (miss - self.shifts) / (curve + 1)
        step = np.where(self.is_cut, step, 0).clip(-FARTHEST, FARTHEST)
        self.shifts += step
        self.table += step[:, None]
        z[self.rows] += step[self.codes]

    def _sums(self, values: Floats) -> Floats:
        """Sums by value and cell, (V, M); the last knot begins no cell."""
        n_knots = len(self.bases.knots)
        sums = np.bincount(self.at, values, minlength=self.size)
        return sums.astype(np.float64, copy=False).reshape(-1, n_knots)

    def _knots(self, left: Floats, right: Floats) -> Floats:
        """Sums by value and knot, (V, M), of what goes to the knots around each row."""
        total = self._sums(left)
        total[:, 1:] += self._sums(right)[:, :-1]
        return total


def checked_context(context: ArrayLike | None, n_rows: int, n_fields: int | None = None) -> Codes:
    """Codes of each field, int64 (F, n); DataError for what is none."""
    if context is None:
        raise DataError("this calibrator needs a context: a column of whole numbers a field")
    codes = np.asarray(context)
    codes = codes[:, None] if codes.ndim == 1 else codes
    if codes.ndim != 2 or len(codes) != n_rows or not codes.shape[1]:
        raise DataError(f"the context has the shape {codes.shape}; expected ({n_rows}, fields)")
    if codes.dtype == np.uint64 and codes.max(initial=0) > np.iinfo(np.int64).max:
        raise DataError(f"codes of a context must be below 2**63; got {codes.max():,}")
    if not np.issubdtype(codes.dtype, np.integer):
        raise DataError(f"fields of a context are whole numbers; got {codes.dtype}")
    if n_fields is not None and codes.shape[1] != n_fields:
        raise DataError(f"the context has {codes.shape[1]} fields; {n_fields} were fitted")
    return np.ascontiguousarray(codes.T, dtype=np.int64)
