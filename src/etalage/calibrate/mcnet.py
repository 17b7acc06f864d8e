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
top of the start is left away unless rows held out bear it out, by more than one standard error.

Letters: n rows, F fields, V values of a field, C contexts, M knots, K shapes, E width of a vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.bases import Bases, Codes, directions, rows_of
from etalage.calibrate.calibrator import Calibrator, Floats, checked_rows, from_dict
from etalage.calibrate.distinct import DistinctRows, distinct_contexts
from etalage.calibrate.fields import FieldEffects, checked_context
from etalage.calibrate.isotonic import SmoothIsotonic
from etalage.calibrate.summary import LogitSummary
from etalage.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from etalage.calibrate.integral import ExactIntegral
    from etalage.calibrate.neural import Balance, BalanceKind, Batch

Variant = Literal["none", "field", "context"]
LEAST_SLOPE = 1e-2
"""s_min."""
BEND = 0.3
"""Slope above which it is what it was asked to be; below, it nears 0 ever slower."""
WIDTH = 8
"""Of a vector, where there are several fields."""
EPOCHS, RATE = 6, 0.01
HELD_OUT = 0.1
"""Share of the rows that say how long to learn, and whether it was worth it."""
FEW_ROWS = 2000
"""Below this many different rows there is nothing to hold out."""


class Pairs(NamedTuple):
    """What fields make of one another: the products of their values' vectors, times `out`."""

    vectors: list[Floats]  # (V, E) of each field
    out: Floats  # (E, M)


class MCNet(Calibrator):
    """A curve of its own for each context; strictly rising in each.

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
        if variant is not None and variant not in get_args(Variant):
            known = get_args(Variant)
            hint = did_you_mean(variant, known)
            raise RecipeError(f"no variant {variant!r} of MCNet{hint} (known: {', '.join(known)})")
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
        self.epochs = 0
        """That were worth it; with 0 it is its start."""

    def fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        self.used = self.variant or ("none" if context is None else "context")
        self.codes = []
        rows = DistinctRows.of(*self._checked(logits, clicks, context, weights))
        held = np.random.default_rng(self.seed).random(len(rows.x)) < HELD_OUT
        self.epochs = 0
        if len(rows.x) >= FEW_ROWS:
            self.epochs = self._worth(rows.take(~held), rows.take(held))
        network = self._start(rows)
        if self.epochs:
            self._learn(network, rows, self.epochs)
        self._keep(network.shapes(), network.paired() if self.epochs else None)
        return self

    def learn(self, summary: LogitSummary) -> Self:
        """Without a context: a summary knows no fields."""
        x, clicks, mass = summary.rows()
        both = np.repeat([1.0, 0.0], len(x))
        variant, self.variant = self.variant, "none"
        self.fit(np.tile(x, 2), both, weights=np.append(clicks, mass - clicks))
        self.variant = variant
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if self.bases is None:
            raise self.not_fitted()
        u = self.curve.logit(logits)
        columns = self._columns(context, len(u))
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
            "epochs": self.epochs,
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
        fitted = cls(facts["variant"], from_dict(facts["curve"]))
        knots, bases, mass = (_numbers(facts[key]) for key in ("knots", "bases", "mass"))
        if bases.ndim != 2 or not len(knots) == len(bases) == len(mass) > 1:
            raise ValueError("knots, bases and mass are not of one number")
        if not (np.diff(knots) > 0).all():
            raise ValueError("the knots do not rise")
        fitted.epochs = int(facts["epochs"])
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

    def _checked(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None,
        weights: ArrayLike | None,
    ) -> tuple[Floats, Floats, Codes, Floats]:
        x, y, scales = checked_rows(logits, clicks, weights)
        columns = self._columns(context, len(x))
        if self.balance:  # over values of a column that the curve may not know
            columns = np.vstack([columns, checked_context(context, len(x))[:1]])
        return x, y, columns.T, scales

    def _columns(self, context: ArrayLike | None, n_rows: int) -> Codes:
        """Codes of the fields that the curve may know, (F, n)."""
        if self.used == "none":
            return np.zeros((1, n_rows), dtype=np.int64)
        if self.used == "field":
            return checked_context(context, n_rows)[:1]
        return checked_context(context, n_rows, len(self.codes) or None)

    def _start(self, rows: DistinctRows) -> ExactIntegral:
        """What `FieldEffects` finds."""
        import torch

        from etalage.calibrate.integral import ExactIntegral

        n_fields = rows.codes.shape[1] - bool(self.balance)
        plain = FieldEffects(self.curve)
        plain.fit(rows.x, rows.y, rows.codes[:, :n_fields], rows.scales)
        assert plain.bases is not None
        self.bases, self.codes = plain.bases, plain.codes
        self.mass = self.bases.mass(self.curve.logit(rows.x), rows.scales)
        torch.manual_seed(self.seed)
        width = WIDTH if n_fields > 1 else 0
        return ExactIntegral(self.bases, self.mass, plain.effects, width)

    def _batch(self, rows: DistinctRows) -> Batch:
        """Rows for the network: the curve's logits, and rows of values in place of codes."""
        from etalage.calibrate.neural import Batch

        columns = [*self.codes, np.unique(rows.codes[:, -1])] if self.balance else self.codes
        codes = [rows_of(known, c) for known, c in zip(columns, rows.codes.T, strict=True)]
        return Batch.of(self.curve.logit(rows.x), np.stack(codes, 1), rows.y, rows.scales)

    def _worth(self, seen: DistinctRows, unseen: DistinctRows) -> int:
        """For how many epochs learning is worth it: 0 where rows that were not seen gain no more
        than one standard error."""
        from etalage.calibrate.neural import held_loss, losses

        network, held, balance = self._start(seen), self._batch(unseen), self._balance()
        before, asked = losses(network, held), held_loss(network, held, balance)
        epochs = self._learn(network, seen, EPOCHS, held)
        gain = before - losses(network, held)
        better = asked - held_loss(network, held, balance)
        return epochs if better > gain.std() / np.sqrt(len(gain)) else 0

    def _balance(self) -> Balance | None:
        from etalage.calibrate.neural import Balance

        return Balance(self.balance_kind, self.balance, -1) if self.balance else None

    def _learn(
        self, network: ExactIntegral, rows: DistinctRows, epochs: int, held: Batch | None = None
    ) -> int:
        """Trains in place, and returns for how many epochs it was worth it."""
        from etalage.calibrate.neural import Plan, learn

        batch = self._batch(rows)
        network.count(batch)
        plan = Plan(epochs, RATE, seed=self.seed)
        return learn(network, batch, plan, held=held, balance=self._balance())


def _from_1(rows: Floats) -> Floats:
    """With a row of no value before all."""
    return np.vstack([np.zeros((1, rows.shape[1])), rows])


def _numbers(values: Any) -> Floats:
    found = np.array(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a number is not finite")
    return found
