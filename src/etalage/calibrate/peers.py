"""What do other networks make of it? Calibrators as published, to be compared with.

They are of reference quality, and no bundle holds them. Where the published code lays a grid evenly
over probabilities, which leaves a few useful cells at a click rate of 4 %, knots here are quantiles
of the scores.

Letters: B rows of a batch, F fields, V values of a field, K knots.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from etalage.calibrate.calibrator import Floats, log_odds, sigmoid
from etalage.calibrate.network_calibrator import Arguments, NetworkCalibrator
from etalage.calibrate.neural import WIDTH, Batch, Curve, Embeddings, Plan, layers
from etalage.calibrate.quadrature import PositiveIntegral
from etalage.errors import DataError

EDGE = 1e-6
"""How near to 0 and 1 a probability may come that is no logit."""
N_KNOTS = 100
NEARLY_1 = 4.0
"""Logit of the factor of DESC to begin with."""
MOST_BINS = 10
"""Of a value of AdaCalib."""
CLICKS_OF_BIN = 20
PRIOR = 5.0
"""Rows, clicked as often as the scores say, that are added to a bin of AdaCalib."""


def quantiles(x: Tensor, shares: Floats) -> list[float]:
    """Distinct quantiles of logits (n,), rising."""
    found: list[float] = np.unique(np.quantile(x.double().numpy(), shares)).tolist()
    return found


class UMNN(Curve):
    """exp(s(h)) (∫_0^l φ(t, h) dt + b_0) + b(h), φ = ELU(net) + 1 (Wehenkel and Louppe, 2019), with
    the rescaling by context of UMC; the integral by Clenshaw and Curtis, so not monotone for sure.
    """

    def __init__(self, sizes: list[int], n_nodes: int = 20, n_units: int = 32) -> None:
        super().__init__()
        self.context = Embeddings(sizes)
        self.integral = PositiveIntegral(self.context.width, (n_units, n_units), n_nodes)
        self.start = nn.Parameter(torch.zeros(()))
        self.scale = layers(self.context.width, 64, 2) if sizes else None

    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        h = self.context(codes)
        integral: Tensor = self.integral(logits, h) + self.start
        if self.scale is None:
            return integral
        scale, level = self.scale(h).unbind(1)
        return scale.exp() * integral + level


class NeuCalib(Curve):
    """σ(η(l) + MLP(context)), η straight between 100 knots, and a penalty where it falls (Pan et
    al., 2020); also known as FAC. What the context adds may turn the order."""

    knots: Tensor

    def __init__(self, sizes: list[int], knots: list[float]) -> None:
        super().__init__()
        self.context = Embeddings(sizes)
        self.register_buffer("knots", torch.tensor(knots))
        self.values = nn.Parameter(self.knots.clone())
        self.level = layers(self.context.width, 200, 200, 1) if sizes else None

    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        z = straight(logits, self.knots, self.values)
        return z if self.level is None else z + self.level(self.context(codes))[:, 0]

    def penalty(self, batch: Batch) -> Tensor:
        return nnf.relu(-self.values.diff()).sum()


class SBCR(Curve):
    """p' rises from 0 to 1 by shares that a network makes of the context, and straight in p between
    the ends of 100 cells: the calibration module of SBCR (2024). Monotone, both ends fixed."""

    edges: Tensor

    def __init__(self, sizes: list[int], edges: list[float]) -> None:
        super().__init__()
        self.context = Embeddings(sizes)
        self.register_buffer("edges", torch.tensor(edges))
        self.widths = nn.Parameter(self.edges.diff().log())
        n_cells = len(edges) - 1
        self.shares = layers(self.context.width, 128, 128, n_cells) if sizes else None

    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        raw = self.widths.expand(len(logits), -1)
        if self.shares is not None:
            raw = raw + self.shares(self.context(codes))
        reached = nnf.pad(raw.softmax(1).cumsum(1), (1, 0))  # (B, K)
        p = torch.sigmoid(logits)
        cell = torch.bucketize(p, self.edges[1:-1])
        share = (p - self.edges[cell]) / self.edges.diff()[cell]
        below = reached.gather(1, cell[:, None])[:, 0]
        above = reached.gather(1, cell[:, None] + 1)[:, 0]
        return torch.logit(below + share * (above - below), EDGE)


class DESC(Curve):
    """Mixtures of 48 basis functions of p, those of each field by its value and the bucket of p,
    times a factor below 1 (2024). Not monotone, and it can only scale down at the end."""

    knots: Tensor
    powers: Tensor

    def __init__(self, sizes: list[int], knots: list[float]) -> None:
        super().__init__()
        self.register_buffer("knots", torch.tensor(knots))
        self.context = Embeddings(sizes)
        self.bucket = nn.Embedding(len(knots) + 1, WIDTH)
        self.register_buffer("powers", torch.linspace(0.5, 2.0, 16))
        heads = len(sizes) + 1  # one of all fields
        widths = [2 * WIDTH] * len(sizes) + [WIDTH + self.context.width]
        self.choices = nn.ModuleList(layers(width, 64, 48) for width in widths)
        self.mixers = nn.ModuleList(layers(48, 24, 1) for _ in widths)
        self.heads = layers(WIDTH + self.context.width, 64, heads)
        self.factor = layers(WIDTH + self.context.width, 64, 1)

    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        p = torch.sigmoid(logits)[:, None]
        bases = torch.cat([p**self.powers, torch.log2(1 + self.powers * p),
                           torch.sigmoid(self.powers * logits[:, None])], 1)  # fmt: skip
        place = self.bucket(torch.bucketize(logits, self.knots))
        h = self.context(codes)
        parts = [torch.cat([place, part], 1) for part in h.split(WIDTH, 1)] if h.shape[1] else []
        whole = torch.cat([place, h], 1)
        shapes = [
            logits + mix(bases * choose(part).softmax(1))[:, 0]
            for part, choose, mix in zip([*parts, whole], self.choices, self.mixers, strict=True)
        ]
        shape = (torch.sigmoid(torch.stack(shapes, 1)) * self.heads(whole).softmax(1)).sum(1)
        return torch.logit(shape * torch.sigmoid(NEARLY_1 + self.factor(whole))[:, 0], EDGE)


class AdaCalib(Curve):
    """A curve for each value of the first field, straight between its own quantiles, whose ends a
    network makes of what was clicked there (Wei et al., 2022), and a penalty where it falls.

    The published number of bins a value is drawn; here it grows with its rows.
    """

    knots: Tensor
    facts: Tensor

    def __init__(
        self, sizes: list[int], knots: list[list[float]], facts: list[list[list[float]]]
    ) -> None:
        super().__init__()
        self.register_buffer("knots", torch.tensor(knots))  # (V + 1, K)
        self.register_buffer("facts", torch.tensor(facts))  # (V + 1, K, 3)
        self.ends = layers(3, 32, 32, 1)

    def values(self) -> Tensor:
        """Calibrated logits at the knots, (V + 1, K): the rate there, and what the network adds."""
        found: Tensor = self.facts[..., 0] + self.ends(self.facts)[..., 0]
        return found

    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        rows = codes[:, 0]
        return straight(logits, self.knots[rows], self.values()[rows])

    def penalty(self, batch: Batch) -> Tensor:
        return nnf.relu(-self.values()[batch.codes[:, 0]].diff()).sum(1).mean()


def straight(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """What is straight between values (K,) or (B, K) at knots, and goes on beyond, at x (B,)."""
    knots, values = (part.expand(len(x), -1) for part in (knots, values))
    cell = torch.searchsorted(knots[:, 1:-1].contiguous(), x[:, None])
    low, high = knots.gather(1, cell), knots.gather(1, cell + 1)
    below, above = values.gather(1, cell), values.gather(1, cell + 1)
    share = (x[:, None] - low) / (high - low).clamp(min=1e-6)
    return (below + share * (above - below))[:, 0]


class UMNNCalibrator(NetworkCalibrator):
    """UMNN with the context and rescaling of UMC."""

    kind: ClassVar[str] = "umnn"
    network_type: ClassVar[type[Curve]] = UMNN

    def prepared(self, rows: Batch) -> Arguments:
        return {"sizes": self.sizes}


class NeuCalibCalibrator(NetworkCalibrator):
    """Neural calibration, FAC."""

    kind: ClassVar[str] = "neucalib"
    network_type: ClassVar[type[Curve]] = NeuCalib

    def prepared(self, rows: Batch) -> Arguments:
        knots = quantiles(rows.logits, np.linspace(0, 1, N_KNOTS))
        return {"sizes": self.sizes, "knots": [*knots, knots[-1] + 1.0]}


class SBCRCalibrator(NetworkCalibrator):
    """The calibration module of SBCR."""

    kind: ClassVar[str] = "sbcr"
    plan: ClassVar[Plan] = Plan(epochs=10, rate=1e-2)
    network_type: ClassVar[type[Curve]] = SBCR

    def prepared(self, rows: Batch) -> Arguments:
        inner = quantiles(torch.sigmoid(rows.logits), np.linspace(0, 1, N_KNOTS + 1)[1:-1])
        return {"sizes": self.sizes, "edges": np.unique([0.0, *inner, 1.0]).tolist()}


class DESCCalibrator(NetworkCalibrator):
    """After DESC."""

    kind: ClassVar[str] = "desc"
    plan: ClassVar[Plan] = Plan(epochs=10, rate=1e-2)
    network_type: ClassVar[type[Curve]] = DESC

    def prepared(self, rows: Batch) -> Arguments:
        shares = np.linspace(0, 1, N_KNOTS + 1)[1:-1]
        return {"sizes": self.sizes, "knots": quantiles(rows.logits, shares)}


class AdaCalibCalibrator(NetworkCalibrator):
    """After AdaCalib; a value that was never seen has the curve of all rows."""

    kind: ClassVar[str] = "adacalib"
    network_type: ClassVar[type[Curve]] = AdaCalib

    def prepared(self, rows: Batch) -> Arguments:
        if not self.sizes:
            raise DataError("AdaCalib needs a context: a column of whole numbers")
        x, y, scales = (c.double().numpy() for c in (rows.logits, rows.clicks, rows.weights))
        codes = rows.codes[:, 0].numpy()
        order = np.lexsort([x, codes])
        parts = np.split(order, np.searchsorted(codes[order], np.arange(1, self.sizes[0] + 1)))
        parts[0] = np.argsort(x, kind="stable")  # all rows, for no value
        knots, facts = [], []
        for part in parts:
            found = _bins(x[part], y[part], scales[part])
            knots.append(found[0].tolist())
            facts.append(np.stack(found[1:], 1).tolist())
        return {"sizes": self.sizes, "knots": knots, "facts": facts}


def _bins(x: Floats, y: Floats, scales: Floats) -> tuple[Floats, ...]:
    """Of equal bins of a value's rows in order of x: centres, log-odds shrunk to what the scores
    say, logarithms of rows, and places; (K,) each, where a value of few clicks repeats its bins."""
    n_bins = int(np.clip(scales @ y // CLICKS_OF_BIN, 1, MOST_BINS))
    bins = np.arange(len(x)) * n_bins // max(len(x), 1)
    mass, clicks, places, said = (
        np.bincount(bins, column, n_bins)
        for column in (scales, scales * y, scales * x, scales * sigmoid(x))
    )
    held = np.maximum(mass, 1e-9)
    rates = log_odds(((clicks + PRIOR * said / held) / (mass + PRIOR)).clip(EDGE, 1 - EDGE))
    at = np.arange(MOST_BINS) * n_bins // MOST_BINS  # (K,)
    step = 1e-3 * np.arange(MOST_BINS)  # knots rise
    place = np.linspace(0, 1, MOST_BINS)
    return (places / held)[at] + step, rates[at] + step, np.log1p(mass)[at], place


PEERS: dict[str, type[NetworkCalibrator]] = {
    kind.kind: kind
    for kind in (UMNNCalibrator, NeuCalibCalibrator, SBCRCalibrator, DESCCalibrator,
                 AdaCalibCalibrator)
}  # fmt: skip
"""Every network of others, by its kind."""
