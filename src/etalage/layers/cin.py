"""Which products of fields matter, vector by vector? The compressed interaction network.

Of xDeepFM (Lian et al., 2018, arXiv 1803.05170).

Letters: B rows, N fields, D width of a field, H vectors of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class CIN(nn.Module):
    """X^k_h = Σ_i Σ_j W^k_{h,ij} (X^{k-1}_i ⊙ X^0_j) + b^k_h with X^0 the fields (equation 6).

    Every layer hands all its vectors both on and out. The bias is that of published code.
    """

    def __init__(self, n_fields: int, sizes: Sequence[int]) -> None:
        super().__init__()
        befores = pairwise((n_fields, *sizes))
        self.layers = nn.ModuleList(nn.Linear(h * n_fields, after) for h, after in befores)
        self.n_out = sum(sizes)
        self.n_products = n_fields * max([n_fields, *sizes[:-1]])
        """Products of vectors in the largest layer."""

    def forward(self, fields: Tensor) -> Tensor:
        """fields float (B, N, D) -> p+, float (B, n_out): p^k_h = Σ_d X^k_{h,d} (equation 7)."""
        across = fields.transpose(1, 2).contiguous()  # (B, D, N), so that a layer is one product
        state, sums = across, []
        for layer in self.layers:
            products = (state[..., None] * across[:, :, None]).flatten(2)  # (B, D, H N)
            state = layer(products)  # (B, D, H)
            sums.append(state.sum(1))
        return torch.cat(sums, 1)
