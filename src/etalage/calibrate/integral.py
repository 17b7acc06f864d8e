"""How does MCNet learn? The network whose slopes are added up, in torch.

Letters: B rows, F fields, V values of a field, M knots, K shapes, E width of a vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from etalage.calibrate.bases import Bases, directions
from etalage.calibrate.calibrator import Floats
from etalage.calibrate.fields import Effects
from etalage.calibrate.mcnet import BEND, LEAST_SLOPE, Pairs
from etalage.calibrate.neural import Batch, Curve

PAIR_RATE = 3.0
"""Learning rate of what is made of pairs, over that of single values."""
FEW = 100.0
"""Rows of a value at which half of its vector is believed."""
BENDING = 2.0
"""Power by which products have less of a shape the more it bends."""
PRECISION = 100.0
"""Of the prior of what a product adds, where that of a vector is 1."""


class ExactIntegral(Curve):
    """F(u, c), starting from what `FieldEffects` found: a value has K shapes of unit prior, and
    products of vectors add nothing yet."""

    def __init__(self, bases: Bases, mass: Floats, effects: list[Effects], width: int) -> None:
        super().__init__()
        self.knots, self.mass = _fixed(bases.knots), _fixed(mass)
        self.directions = _fixed(directions(bases, mass))  # (K, M)
        n_shapes = len(self.directions)
        self.scales = [_fixed(np.sqrt(e.variances)) for e in effects]
        self.means = nn.ParameterList(nn.Parameter(_fixed(e.means)) for e in effects)
        self.tables = [nn.Embedding(len(e.theta) + 1, n_shapes, padding_idx=0) for e in effects]
        self.values = nn.ModuleList(self.tables)
        self.rows = [torch.ones(len(e.theta) + 1) for e in effects]
        """Rows of each value, by which its prior is shared out, (V + 1,)."""
        for table, each in zip(self.tables, effects, strict=True):
            units = (each.theta - each.means) / np.sqrt(each.variances)
            table.weight.data = nnf.pad(_fixed(units), (0, 0, 1, 0))
        self.vectors = [nn.Embedding(len(e.theta) + 1, width, padding_idx=0) for e in effects]
        for table in self.vectors:
            nn.init.normal_(table.weight, std=0.3)
            table.weight.data[0] = 0
        self.pairs = nn.ModuleList(self.vectors)
        self.mix = nn.Parameter(torch.zeros(width, n_shapes))
        self.bends = torch.arange(1, n_shapes + 1) ** -BENDING

    def count(self, rows: Batch) -> None:
        """Says how often each value is there."""
        for f, n in enumerate(self.rows):
            n.zero_().index_add_(0, rows.codes[:, f], rows.worth * rows.weights).clamp_(min=1e-6)
        self.n_rows = rows.worth * float(rows.weights.sum())

    def added(self, codes: Tensor) -> Tensor:
        """Level and raw slopes (B, M) of contexts (B, F)."""
        total = torch.zeros(len(codes), len(self.knots))
        for f, table in enumerate(self.tables):
            known = (codes[:, f, None] > 0).float()
            shapes = known * (self.means[f] + table(codes[:, f]) * self.scales[f])
            total = total + shapes @ self.directions
        vectors = torch.stack([self._vector(f, codes[:, f]) for f in range(len(self.vectors))])
        products = (vectors.sum(0) ** 2 - (vectors**2).sum(0)) / 2  # Σ over pairs of fields
        return total + products @ self.out

    @property
    def out(self) -> Tensor:
        """What products add to level and slopes, (E, M)."""
        return (self.mix * self.bends) @ self.directions

    def _vector(self, field: int, codes: Tensor) -> Tensor:
        """Vectors (B, E), the shorter the fewer rows a value has: its own begin by chance."""
        believed = self.rows[field] / (self.rows[field] + FEW)
        found: Tensor = self.vectors[field](codes) * believed[codes, None]
        return found

    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        level, raw = self.added(codes).tensor_split([1], 1)
        widths = self.knots.diff()
        slopes = LEAST_SLOPE + (1 - LEAST_SLOPE) * positive(raw)  # (B, M - 1)
        reached = nnf.pad((slopes * widths).cumsum(1), (1, 0))  # (B, M), from the first knot
        first = level[:, 0] + self.mass @ self.knots - reached @ self.mass
        inside = (logits[:, None] - self.knots[:-1]).clamp(min=0).minimum(widths)
        outside = (logits - self.knots[0]).clamp(max=0) + (logits - self.knots[-1]).clamp(min=0)
        return first + (inside * slopes).sum(1) + outside

    def penalty(self, batch: Batch) -> Tensor:
        """Minus the logarithm of the prior, over rows. That of a value comes with its rows, so that
        Adam weighs it as it weighs them."""
        total = PRECISION * (self.mix**2).sum() / (2 * self.n_rows)
        for f, rows in enumerate(self.rows):
            codes = batch.codes[:, f]
            for table in (self.tables[f], self.vectors[f]):
                squares = (table(codes) ** 2).sum(1)
                total = total + (batch.weights * squares / rows[codes]).mean() / 2
        return total

    def groups(self, rate: float) -> list[dict[str, Any]]:
        single = [*self.means, *self.values.parameters()]
        paired = [self.mix, *self.pairs.parameters()]
        return [{"params": single, "lr": rate}, {"params": paired, "lr": PAIR_RATE * rate}]

    def shapes(self) -> list[Floats]:
        """What each value of each field has of each shape, (V, K)."""
        return [
            _free(mean + table.weight[1:] * scale)
            for table, mean, scale in zip(self.tables, self.means, self.scales, strict=True)
        ]

    def paired(self) -> Pairs | None:
        """What fields make of one another; None of a single one."""
        if not len(self.out):
            return None
        vectors = [
            _free(self._vector(field, torch.arange(1, len(table.weight))))
            for field, table in enumerate(self.vectors)
        ]
        return Pairs(vectors, _free(self.out))


def positive(raw: Tensor) -> Tensor:
    """1 + z down to `BEND`, and an exponential below: smooth, and never 0."""
    below = BEND * torch.exp(((1 - BEND + raw) / BEND).clamp(max=0))
    return torch.where(1 + raw > BEND, 1 + raw, below)


def _free(values: Tensor) -> Floats:
    found: Floats = values.detach().double().numpy()
    return found


def _fixed(values: Floats) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
