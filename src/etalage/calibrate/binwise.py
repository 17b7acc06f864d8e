"""MCNet as it was published: a monotone network for each bin of scores, held in order by a penalty.

In bin k between the scores b_k and b_{k+1}, in context c,

    f_k(l, c) = ∫_{b_k}^{l} φ_k(t, h_k(c)) dt + b_k + o_k(h_k(c)),   φ_k = ELU(network) + 1 > 0,

with embeddings of its own in each bin, once for φ and once for o. The integral is that of Clenshaw
and Curtis, so monotone but for its error; what a bin ends with and the next begins with differ, and

    L_order = mean over c of Σ_k max(f_k(b_{k+1}, c) - f_{k+1}(b_{k+1}, c), 0)

is added to the loss for some contexts of the batch. The integral begins at the left end of its bin
and not at 0: far from all scores, offset and slope would say the same. Of reference quality;
`MCNet` is what to use.

Letters: B rows of a batch, K bins, C contexts, H units.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from etalage.calibrate.mcnet import BalanceKind, Variant, check_arguments
from etalage.calibrate.network_calibrator import Arguments, NetworkCalibrator
from etalage.calibrate.neural import Balance, Batch, Curve, Embeddings, Plan, layers
from etalage.calibrate.quadrature import PositiveIntegral

N_BINS = 20
CLICKS_OF_BIN = 100
"""Clicks that a bin should have at least."""
N_UNITS, N_NODES, WIDTH = 16, 20, 8
ORDER = 0.01
"""Weight of L_order: with more, bins hold each other where they begin."""
MOST_CONTEXTS = 128
"""Of a batch, whose order is asked for."""


class BinwiseMonotone(Curve):
    """f_k for every bin at once; `edges` are b_1 to b_{K-1}, and the outer bins have no outer end.

    Args:
        sizes: values of each field.
        edges: ends of bins, rising, and the least score before them, (K,).
        order: weight of L_order.
    """

    edges: Tensor

    def __init__(self, sizes: list[int], edges: list[float], order: float) -> None:
        super().__init__()
        self.sizes, self.order = sizes, order
        self.register_buffer("edges", torch.tensor(edges))
        self.integrals = nn.ModuleList(_Integral(sizes) for _ in edges)
        self.levels = nn.ModuleList(_Level(sizes) for _ in edges)

    def of_bin(self, k: int, logits: Tensor, codes: Tensor) -> Tensor:
        """f_k at logits (B,) in contexts (B, F)."""
        integral = self.integrals[k](logits - self.edges[k], codes)
        level: Tensor = self.edges[k] + self.levels[k](codes) + integral
        return level

    def forward(self, logits: Tensor, codes: Tensor) -> Tensor:
        bins = torch.bucketize(logits, self.edges[1:], right=True)
        found = torch.empty_like(logits)
        for k in range(len(self.edges)):
            rows = (bins == k).nonzero()[:, 0]
            if len(rows):
                found = found.index_put((rows,), self.of_bin(k, logits[rows], codes[rows]))
        return found

    def gaps(self, codes: Tensor) -> Tensor:
        """By how much the end of each bin is above the begin of the next, (K - 1, C)."""
        ends = range(len(self.edges) - 1)
        return torch.stack([
            self.of_bin(k, self.edges[k + 1].expand(len(codes)), codes)
            - self.edges[k + 1] - self.levels[k + 1](codes)
            for k in ends
        ])  # fmt: skip

    def penalty(self, batch: Batch) -> Tensor | float:
        if len(self.edges) < 2:
            return 0.0
        contexts = torch.unique(batch.codes, dim=0) if self.sizes else batch.codes[:1]
        some = torch.randperm(len(contexts))[:MOST_CONTEXTS]
        return self.order * nnf.relu(self.gaps(contexts[some])).sum(0).mean()


class _Integral(nn.Module):
    """∫φ over a width (B,) from the bin's end, in contexts (B, F)."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.context = Embeddings(sizes, WIDTH)
        self.integral = PositiveIntegral(self.context.width, (N_UNITS,), N_NODES)

    def forward(self, width: Tensor, codes: Tensor) -> Tensor:
        found: Tensor = self.integral(width, self.context(codes))
        return found


class _Level(nn.Module):
    """o: a number without a context."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.context = Embeddings(sizes, WIDTH)
        self.net = layers(self.context.width, N_UNITS, 1) if sizes else None
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, codes: Tensor) -> Tensor:
        level = self.level.expand(len(codes))
        return level if self.net is None else level + self.net(self.context(codes))[:, 0]


class BinwiseMCNet(NetworkCalibrator):
    """MCNet, bin by bin.

    Args:
        variant: what the curve may know: "none", the first "field", or all of the "context".
        order: weight of L_order.
        balance: weight of the field balance over values of the first column; 0 is none.
        balance_kind: see `neural.Balance`; the paper's is nearest to "variance".
        seed: of the rows held out and of the training.
    """

    kind: ClassVar[str] = "mcnet_bins"
    plan: ClassVar[Plan] = Plan(epochs=6, rate=1e-2, batch=2048)
    network_type: ClassVar[type[Curve]] = BinwiseMonotone

    def __init__(
        self,
        variant: Variant = "context",
        order: float = ORDER,
        balance: float = 0.0,
        balance_kind: BalanceKind = "variance",
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        check_arguments(variant, balance, balance_kind)
        self.variant, self.order = variant, order
        self.balance, self.balance_kind = balance, balance_kind

    def prepared(self, rows: Batch) -> Arguments:
        x, y = rows.logits.double().numpy(), (rows.weights * rows.clicks).double().numpy()
        n_bins = int(np.clip(y.sum() // CLICKS_OF_BIN, 1, N_BINS))
        edges = np.unique(np.quantile(x, np.arange(n_bins) / n_bins))
        order = np.argsort(x, kind="stable")
        kept, reached = [float(edges[0])], 0.0
        clicks = np.add.reduceat(y[order], np.searchsorted(x[order], edges))
        for edge, n in zip(edges[1:], clicks[:-1], strict=True):  # merge bins of few clicks
            reached += n
            if reached >= CLICKS_OF_BIN:
                kept.append(float(edge))
                reached = 0.0
        if len(kept) > 1 and reached + clicks[-1] < CLICKS_OF_BIN:
            kept.pop()
        return {"sizes": self.used, "edges": kept, "order": self.order}

    @property
    def used(self) -> list[int]:
        """Values of each field that the curve may know."""
        n_fields = {"none": 0, "field": 1, "context": len(self.sizes)}[self.variant]
        return self.sizes[:n_fields]

    def balanced(self) -> Balance | None:
        return Balance(self.balance_kind, self.balance, 0) if self.balance else None
