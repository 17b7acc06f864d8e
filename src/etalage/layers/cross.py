"""How do columns meet? The cross layer of DCN-V2 (Wang et al., 2021, arXiv 2008.13535).

Letters: B rows, D width of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CrossStack(nn.Module):
    """x_{l+1} = x_0 * (W_l x_l + b_l) + x_l (equation 1); n layers give products of n + 1."""

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))

    def forward(self, start: Tensor) -> Tensor:
        """start float (B, D) -> float (B, D)."""
        x = start
        for layer in self.layers:
            x = torch.addcmul(x, start, layer(x))
        return x
