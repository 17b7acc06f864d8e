"""Is a curve for each context worth its rows? MCNet (Dai et al., 2025), its integral made exact.

In each context c the calibrated logit is the integral of a slope that is never 0 or less,

    F(u, c) = level(c) + ∫ s(t, c) dt,   s = s_min + (1 - s_min) φ(z_j(c)) in cell j,

where u = g(l) is the curve of all rows and φ(z) = 1 + z, but an exponential where that is small.
The paper integrates a network by quadrature, within bins that a penalty holds in order. Here the
slope is constant between knots, so the integral is a sum: the curve rises strictly, has no jumps,
is its own table, and the penalty would be 0.

Values of a context add smooth shapes to z and level, shrunk to those of others by how much they
differ: the prior of `FieldEffects`, from which it starts. Where there are several fields, each two
add what the product of their values' vectors says. Unknown values add nothing. What is learnt on
top of the start is left away unless rows held out gain by it, by more than one standard error.

Letters: n rows, F fields, V values of a field, C contexts, M knots, K shapes, E width of a vector.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.bases import Bases, Codes, directions, rows_of
from etalage.calibrate.calibrator import Calibrator, Floats, checked_rows, from_dict
from etalage.calibrate.distinct import DistinctRows, distinct_contexts
from etalage.calibrate.fields import checked_context
from etalage.calibrate.isotonic import SmoothIsotonic
from etalage.calibrate.summary import LogitSummary
from etalage.errors import RecipeError, did_you_mean

Variant = Literal["none", "field", "context"]
BalanceKind = Literal["excess", "variance"]
LEAST_SLOPE = 1e-2
"""s_min."""
BEND = 0.3
"""Slope above which it is what it was asked to be; below, it nears 0 ever slower."""
CHUNK = 1 << 16
"""Rows mapped at once."""


class Pairs(NamedTuple):
    """What fields make of one another: the products of their values' vectors, times `out`."""

    vectors: list[Floats]  # (V, E) of each field
    out: Floats  # (E, M)


def check_arguments(variant: Variant | None, balance: float, balance_kind: BalanceKind) -> None:
    """RecipeError for what MCNet does not know."""
    for name, given, known in (
        ("variant", variant, get_args(Variant)),
        ("balance_kind", balance_kind, get_args(BalanceKind)),
    ):
        if given is not None and given not in known:
            raise RecipeError(
                f"MCNet has no {name} {given!r}{did_you_mean(given, known)} (known: "
                f"{', '.join(known)})"
            )
    if not 0 <= balance < float("inf"):
        raise RecipeError(f"balance={balance} must be a weight, 0 or more")


class MCNet(Calibrator):
    """A curve of its own for each context; strictly rising in each, as the curve of all rows is.

    The context of `fit` and `logit` has a column a field, whole numbers from 0; a negative one is
    no value.

    Args:
        variant: what the curve may know: "none" of the context, its first "field", or all of the
            "context"; by itself all of a context that is given.
        curve: that of all rows; smoothed isotonic where none is given.
        balance: weight of the field balance over values of the first column, which the curve need
            not know. Where it does, the likelihood balances already.
        balance_kind: see `neural.Balance`.
        seed: of the rows held out and of the training.
    """

    kind: ClassVar[str] = "mcnet"

    def __init__(
        self,
        variant: Variant | None = None,
        curve: Calibrator | None = None,
        balance: float = 0.0,
        balance_kind: BalanceKind = "excess",
        seed: int = 0,
    ) -> None:
        check_arguments(variant, balance, balance_kind)
        self.variant: Variant | None = variant
        self.used: Variant = variant or "context"
        """The variant that was fitted."""
        self.balance, self.balance_kind = balance, balance_kind
        self.curve = SmoothIsotonic() if curve is None else curve
        self.seed = seed
        self.bases: Bases | None = None
        self.mass = np.zeros(0)
        """Share of the rows by knot, (M,)."""
        self.codes: list[Codes] = []
        """Codes of a field's values that were seen, rising, (V,)."""
        self.shapes: list[Floats] = []
        """What they have of each shape, (V, K)."""
        self.pairs: Pairs | None = None
        self.has_learnt = False
        """Whether anything on top of the start was worth it."""

    def fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        used: Variant = self.variant or ("none" if context is None else "context")
        return self._fit(logits, clicks, context, weights, used)

    def learn(self, summary: LogitSummary) -> Self:
        """Without a context: a summary knows no fields."""
        x, came, weights = summary.rows().labelled()
        return self._fit(x, came, None, weights, "none")

    def _fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None,
        weights: ArrayLike | None,
        used: Variant,
    ) -> Self:
        from etalage.calibrate.mcnet_training import found

        x, y, scales = checked_rows(logits, clicks, weights)
        columns = _columns(context, len(x), used)
        balance = self.balance if context is not None else 0.0
        if balance:  # over values of a column that the curve may not know
            columns = np.vstack([columns, checked_context(context, len(x))[:1]])
        rows = DistinctRows.of(x, y, columns.T, scales)
        learnt = found(rows, self.curve, balance, self.balance_kind, self.seed)
        self.used, self.bases, self.codes = used, learnt.bases, learnt.codes
        self.mass, self.has_learnt = learnt.mass, learnt.is_worth_it
        self._keep(learnt.shapes, learnt.pairs)
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if self.bases is None:
            raise self.not_fitted()
        u = self.curve.logit(logits)
        n_fields = len(self.codes) if self.used == "context" else None
        columns = _columns(context, len(u), self.used, n_fields)
        found = np.empty(len(u))
        for start in range(0, len(u), CHUNK):  # each row may be of a context of its own
            some = slice(start, start + CHUNK)
            found[some] = self._mapped(u[some], columns[:, some])
        return found

    def _mapped(self, u: Floats, columns: Codes) -> Floats:
        assert self.bases is not None
        rows = [rows_of(known, codes) for known, codes in zip(self.codes, columns, strict=True)]
        table, at = self._table, rows[0]
        if table is None:
            contexts, at = distinct_contexts(rows, [len(known) + 1 for known in self.codes])
            table = self.curves(contexts)
        cell, share = self.bases.places(u)
        below, above = table[at, cell], table[at, cell + 1]
        knots = self.bases.knots
        return below + share * (above - below) + (u - u.clip(knots[0], knots[-1]))

    def curves(self, rows: Codes) -> Floats:
        """Calibrated logits at the knots, (C, M), of contexts (C, F): of each field the row of its
        value among those that were seen, from 1; 0 is no value."""
        assert self.bases is not None
        added = sum(table[row] for table, row in zip(self._added, rows.T, strict=True))
        if self.pairs is not None:
            vectors = [table[row] for table, row in zip(self._vectors, rows.T, strict=True)]
            both = sum(vectors) ** 2 - sum(each**2 for each in vectors)
            added += both / 2 @ self.pairs.out
        level, raw = added[:, :1], added[:, 1:]
        below = BEND * np.exp(((1 - BEND + raw) / BEND).clip(max=0))
        slopes = LEAST_SLOPE + (1 - LEAST_SLOPE) * np.where(1 + raw > BEND, 1 + raw, below)
        reached = np.zeros_like(added)
        np.cumsum(slopes * np.diff(self.bases.knots), axis=1, out=reached[:, 1:])
        return level + self.mass @ self.bases.knots - (reached @ self.mass)[:, None] + reached

    def to_dict(self) -> dict[str, Any]:
        if self.bases is None:
            raise self.not_fitted()
        return {
            "kind": self.kind,
            "variant": self.used,
            "curve": self.curve.to_dict(),
            "has_learnt": self.has_learnt,
            "knots": self.bases.knots.tolist(),
            "bases": self.bases.shapes.tolist(),
            "mass": self.mass.tolist(),
            "codes": [codes.tolist() for codes in self.codes],
            "shapes": [shapes.tolist() for shapes in self.shapes],
            "pairs": None
            if self.pairs is None
            else {
                "vectors": [vectors.tolist() for vectors in self.pairs.vectors],
                "out": self.pairs.out.tolist(),
            },
        }

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        used = facts["variant"]
        if used not in get_args(Variant) or (used != "context" and len(facts["codes"]) != 1):
            raise ValueError(f"there is no variant {used!r} of {len(facts['codes'])} fields")
        fitted = cls(used, from_dict(facts["curve"]))
        fitted.used = used
        knots, bases, mass = (_numbers(facts[key]) for key in ("knots", "bases", "mass"))
        if bases.ndim != 2 or not len(knots) == len(bases) == len(mass) > 1:
            raise ValueError("knots, bases and mass are not of one number")
        if not (np.diff(knots) > 0).all():
            raise ValueError("the knots do not rise")
        fitted.has_learnt = bool(facts["has_learnt"])
        fitted.bases, fitted.mass = Bases(knots, bases), mass
        fitted.codes = [np.array(codes, dtype=np.int64) for codes in facts["codes"]]
        shapes = [_numbers(rows).reshape(-1, bases.shape[1]) for rows in facts["shapes"]]
        for codes, rows in zip(fitted.codes, shapes, strict=True):
            if len(codes) != len(rows) or not (np.diff(codes) > 0).all():
                raise ValueError("codes do not rise, or are not as many as their shapes")
        given, pairs = facts["pairs"], None
        if given is not None:
            pairs = Pairs([_numbers(each) for each in given["vectors"]], _numbers(given["out"]))
            width = len(pairs.out)
            right = [each.shape == (len(rows), width) for each, rows in
                     zip(pairs.vectors, shapes, strict=True)]  # fmt: skip
            if not all(right) or pairs.out.shape != (width, len(knots)):
                raise ValueError("the vectors do not fit the fields")
        fitted._keep(shapes, pairs)
        return fitted

    def _keep(self, shapes: list[Floats], pairs: Pairs | None) -> None:
        """Takes over what was learnt, and makes the tables that it is read from."""
        assert self.bases is not None
        self.shapes, self.pairs = shapes, pairs
        adds = directions(self.bases, self.mass)
        self._added = [_from_1(rows @ adds) for rows in shapes]
        self._vectors = [] if pairs is None else [_from_1(rows) for rows in pairs.vectors]
        self._table = None
        if len(shapes) == 1:
            self._table = self.curves(np.arange(len(shapes[0]) + 1)[:, None])


def _columns(
    context: ArrayLike | None, n_rows: int, used: Variant, n_fields: int | None = None
) -> Codes:
    """Codes of the fields that a variant may know, (F, n)."""
    if used == "none":
        return np.zeros((1, n_rows), dtype=np.int64)
    columns = checked_context(context, n_rows, n_fields)
    return columns[:1] if used == "field" else columns


def _from_1(rows: Floats) -> Floats:
    """With a row of no value before all."""
    return np.vstack([np.zeros((1, rows.shape[1])), rows])


def _numbers(values: Any) -> Floats:
    found = np.array(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a number is not finite")
    return found
