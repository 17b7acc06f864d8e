"""How does a network learn a calibrator? Adam on batches, and rows held out that say when to stop.

Letters: n rows, F fields, B rows of a batch, V values of a field.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as nnf

from etalage.calibrate.bases import Codes
from etalage.calibrate.calibrator import Floats
from etalage.calibrate.mcnet import BalanceKind
from etalage.errors import DataError

WIDTH = 16
"""Of an embedding."""
CHUNK = 1 << 14
"""Rows that a network is asked about at once."""
BATCHES = 64
"""Of an epoch, at least: few rows make smaller batches."""
FEWEST = 32
"""Rows of a batch, at least."""
DECAY = 1e-4
"""L2 of the vectors of values; without it networks believe those of few rows."""
LOOKS = 8
"""At the balance, an epoch; pushed for longer, it turns over."""
TOLERATED = 3.84
"""Squared error over its variance that a value has by chance in 5 % of cases (χ², one degree)."""


class Batch(NamedTuple):
    """Rows as tensors."""

    logits: Tensor  # (n,) float32
    codes: Tensor  # (n, F) int64; 0 is no value
    clicks: Tensor  # (n,) float32
    weights: Tensor  # (n,) float32, 1 in the mean
    worth: float
    """Rows that each stands for, in the mean."""

    def take(self, rows: Tensor) -> Batch:
        """Some of the rows."""
        x, codes, y, scales, worth = self
        return Batch(x[rows], codes[rows], y[rows], scales[rows], worth)

    @classmethod
    def of(cls, logits: Floats, codes: Codes, clicks: Floats, weights: Floats) -> Batch:
        """Columns (n,) and codes (n, F) as tensors."""
        worth = float(weights.mean())
        columns = (logits, clicks, weights / worth)
        x, y, scales = (torch.tensor(c, dtype=torch.float32) for c in columns)
        return cls(x, torch.tensor(codes), y, scales, worth)


class Curve(nn.Module, ABC):
    """A network from logits and codes to calibrated logits."""

    @abstractmethod
    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Calibrated logits (B,) of logits (B,) with codes (B, F)."""

    def penalty(self, batch: Batch) -> Tensor | float:
        """What the loss of a batch has besides."""
        return 0.0

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Parameters, and how fast each learns; vectors of values are held near 0."""
        held = {p for part in self.modules() if isinstance(part, Embeddings)
                for p in part.parameters()}  # fmt: skip
        free = [p for p in self.parameters() if p not in held]
        vectors = {"params": [p for p in self.parameters() if p in held], "weight_decay": DECAY}
        return [{"params": free, "lr": rate}, vectors | {"lr": rate}]

    @torch.no_grad()
    def logits_of(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Calibrated logits (n,) of any number of rows."""
        self.eval()
        starts = range(0, len(logits), CHUNK)
        parts = [self(logits[s : s + CHUNK], codes[s : s + CHUNK]) for s in starts]
        return torch.cat(parts) if parts else logits


@dataclass(frozen=True)
class Plan:
    """How long a network learns, and how fast."""

    epochs: int
    rate: float
    """Learning rate at its highest; it rises over a tenth of the steps and falls over the rest."""
    batch: int = 4096
    seed: int = 0


class Balance:
    """What is asked of the values of a field besides: that promised clicks are those that came.

    With R_v = Σ p - Σ y and V_v = Σ p (1 - p) over the rows of value v, `excess` is
    Σ_v √n_v max(0, R_v² / (V_v + 1) - 3.84) / Σ_v √n_v, which is silent about what chance does;
    `variance`, closest to the words of the paper, is that of R_v / n_v over rows. Sums of a batch
    would be noise, so they are of all rows, a few times an epoch, and rows are pushed by their
    gradient, V_v held. Rows without a value are not asked.
    """

    def __init__(self, kind: BalanceKind, weight: float, column: int) -> None:
        self.kind, self.weight, self.column = kind, weight, column
        self.push = torch.zeros(0)
        """Gradient by the probability of a row, by value, (V,); times rows."""

    def look(self, network: Curve, rows: Batch) -> float:
        """Sums over all rows; returns its value times its weight."""
        p = torch.sigmoid(network.logits_of(rows.logits, rows.codes))
        codes = rows.codes[:, self.column]
        zeros = torch.zeros(int(codes.max()) + 1)
        weights = rows.worth * rows.weights * (codes > 0)
        n, gap, noise = (
            zeros.index_add(0, codes, weights * column)
            for column in (torch.ones_like(p), p - rows.clicks, p * (1 - p))
        )
        if not n.any():
            self.push = zeros
            return 0.0
        if self.kind == "variance":
            error, share = gap / n.clamp(min=1e-9), n / n.sum()
            away = error - share @ error
            self.push = 2 * away
            return self.weight * float(share @ away**2)
        share = n.sqrt() / n.sqrt().sum()
        excess = gap**2 / (noise + 1) - TOLERATED
        self.push = n.sum() * 2 * share * gap / (noise + 1) * (excess > 0)
        return self.weight * float(share @ excess.clamp(min=0))

    def penalty(self, z: Tensor, batch: Batch) -> Tensor:
        """Its part of a batch's loss, up to a constant."""
        pushes = self.push[batch.codes[:, self.column]]
        return self.weight * (batch.weights * pushes * torch.sigmoid(z)).mean()


def learn(
    network: Curve,
    rows: Batch,
    plan: Plan,
    *,
    held: Batch | None = None,
    balance: Balance | None = None,
) -> None:
    """Trains in place; with rows held out, keeps the state of least loss on them, be it the first.

    Raises:
        DataError: where the loss is no number.
    """
    torch.manual_seed(plan.seed)
    n_rows = len(rows.logits)
    n_batches = max(round(n_rows * rows.worth) // plan.batch, BATCHES)
    n_batches = max(min(n_batches, n_rows // FEWEST), 1)
    optimizer = torch.optim.Adam(network.groups(plan.rate))
    n_steps = plan.epochs * n_batches
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _height(step, n_steps))
    best, state = math.inf, network.state_dict()
    if held is not None:
        best, state = _held_loss(network, held, balance), _copied(network)
    for _ in range(plan.epochs):
        for n, some in enumerate(torch.randperm(n_rows).chunk(n_batches)):
            if balance is not None and n % max(n_batches // LOOKS, 1) == 0:
                balance.look(network, rows)
            network.train()
            batch = rows.take(some)
            z = network(batch.logits, batch.codes)
            loss = nnf.binary_cross_entropy_with_logits(z, batch.clicks, batch.weights)
            loss = loss + network.penalty(batch)
            if balance is not None:
                loss = loss + balance.penalty(z, batch)
            if not torch.isfinite(loss):
                raise DataError("the loss is no number: some logit is too far from all others")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if held is not None and (found := _held_loss(network, held, balance)) < best:
            best, state = found, _copied(network)
    network.load_state_dict(state)
    network.eval()


def _height(step: int, n_steps: int) -> float:
    """Share of the highest learning rate."""
    rising = max(n_steps // 10, 1)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / max(n_steps - rising, 1))) / 2


def losses(network: Curve, rows: Batch) -> NDArray[np.float64]:
    """Log-loss of each row, (n,), without its weight."""
    z = network.logits_of(rows.logits, rows.codes)
    found = nnf.binary_cross_entropy_with_logits(z, rows.clicks, reduction="none")
    return found.double().numpy()


def _held_loss(network: Curve, held: Batch, balance: Balance | None) -> float:
    """Log-loss of rows held out, and what they lack in balance."""
    asked = 0.0 if balance is None else balance.look(network, held)
    return float(held.weights.double().numpy() @ losses(network, held)) / len(held.logits) + asked


def _copied(network: Curve) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


class Embeddings(nn.Module):
    """A vector of each value of each field, side by side; none of no value."""

    def __init__(self, n_values: list[int], width: int = WIDTH) -> None:
        super().__init__()
        tables = [nn.Embedding(n + 1, width, padding_idx=0) for n in n_values]
        for table in tables:
            nn.init.normal_(table.weight, std=0.05)
            table.weight.data[0] = 0
        self.tables = nn.ModuleList(tables)
        self.width = width * len(n_values)

    def forward(self, codes: Tensor) -> Tensor:  # (B, F) -> (B, F width)
        if not self.tables:
            return torch.zeros(len(codes), 0)
        return torch.cat([table(codes[:, f]) for f, table in enumerate(self.tables)], 1)


def layers(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between; the last begins with 0, so that it adds nothing at first."""
    parts: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        parts += [nn.Linear(before, after), nn.ReLU()]
    last = nn.Linear(widths[-2], widths[-1])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, last)
