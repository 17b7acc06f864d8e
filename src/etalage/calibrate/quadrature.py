"""How is a function integrated that is a network? At Clenshaw and Curtis' nodes.

Letters: B rows of a batch, E width of a context, H units.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from etalage.calibrate.calibrator import Floats
from etalage.calibrate.neural import layers


def clenshaw_curtis(n: int) -> tuple[Floats, Floats]:
    """n + 1 nodes in [-1, 1] and their weights, n even, exact for polynomials of degree n.

    >>> nodes, weights = clenshaw_curtis(4)
    >>> float((weights @ nodes**4).round(12)), float(weights.sum().round(12))
    (0.4, 2.0)
    """
    k = np.arange(n + 1)
    j = np.arange(n // 2 + 1)
    ends = np.where((j == 0) | (j == n // 2), 1.0, 2.0)
    waves = np.cos(2 * np.outer(k, j) * np.pi / n)  # (n + 1, n / 2 + 1)
    weights = (ends * waves / (1 - 4 * j**2)).sum(1) / n
    weights[1:-1] *= 2
    return np.cos(k * np.pi / n), weights


class PositiveIntegral(nn.Module):
    """∫_0^l φ(t, h) dt with φ = ELU(network) + 1 > 0 in contexts h (Wehenkel and Louppe, 2019).

    Args:
        width: of a context.
        units: of the network's hidden layers.
        n_nodes: of the quadrature, less 1.
    """

    nodes: Tensor
    weights: Tensor

    def __init__(self, width: int, units: tuple[int, ...], n_nodes: int) -> None:
        super().__init__()
        nodes, weights = clenshaw_curtis(n_nodes)
        self.register_buffer("nodes", torch.tensor((nodes + 1) / 2, dtype=torch.float32))
        self.register_buffer("weights", torch.tensor(weights / 2, dtype=torch.float32))
        self.of_time = nn.Linear(1, units[0])
        self.of_context = nn.Linear(width, units[0], bias=False)
        self.rest = layers(*units, 1)

    def forward(self, logits: Tensor, h: Tensor) -> Tensor:  # (B,), (B, E) -> (B,)
        t = logits[:, None, None] * self.nodes[:, None]  # (B, nodes, 1)
        # the context's part of the first layer is that of all nodes
        first = nnf.relu(self.of_time(t) + self.of_context(h)[:, None])  # (B, nodes, H)
        slopes = nnf.elu(self.rest(first)[..., 0]) + 1
        return logits * (slopes @ self.weights)
