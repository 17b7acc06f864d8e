"""How do columns meet? Cross layers, which multiply what they have made by what came in.

Each stack of n layers gives products of up to n + 1 columns: that of DCN (Wang et al., 2017, arXiv
1708.05123), of DCN-V2 (Wang et al., 2021, arXiv 2008.13535), of GDCN (Wang et al., 2023, arXiv
2311.04635), and that of QNN-alpha's union with DCN-V2 (arXiv 2505.17999).

Letters: B rows, C columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from etalage.layers.dropout import Dropout
from etalage.layers.fused import mapped
from etalage.layers.norm import BatchNorm, merge


class VectorCross(nn.Module):
    """x_{l+1} = x_0 (x_lᵀ w_l) + b_l + x_l (DCN, equation 3): one vector a layer."""

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, 1, bias=False) for _ in range(n_layers))
        self.biases = nn.Parameter(torch.zeros(n_layers, width))

    def forward(self, start: Tensor) -> Tensor:
        """start float (B, C) -> float (B, C)."""
        x = start
        for layer, bias in zip(self.layers, self.biases, strict=True):
            x = start * layer(x) + bias + x
        return x


class CrossStack(nn.Module):
    """x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l (DCN-V2, equation 1)."""

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))

    def forward(self, start: Tensor) -> Tensor:
        """start float (B, C) -> float (B, C)."""
        x = start
        for layer in self.layers:
            x = torch.addcmul(x, start, mapped(layer, x))  # type: ignore[arg-type]
        return x


class GatedCross(nn.Module):
    """x_{l+1} = x_0 ⊙ (W_l x_l + b_l) ⊙ sigmoid(V_l x_l) + x_l (GDCN).

    The gate says of every new product how much of it is let in.
    """

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))
        self.gates = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(n_layers))

    def forward(self, start: Tensor) -> Tensor:
        """start float (B, C) -> float (B, C)."""
        x = start
        for layer, gate in zip(self.layers, self.gates, strict=True):
            x = torch.addcmul(x, start * layer(x), gate(x).sigmoid())
        return x


class ActivatedCross(nn.Module):
    """x_{l+1} = drop(x_l + x_0 ⊙ ReLU(BN(W_l x_l + b_l))): activated before the product."""

    def __init__(self, width: int, n_layers: int, dropout: float, *, batch_norm: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))
        self.norms = nn.ModuleList(
            BatchNorm(width) if batch_norm else nn.Identity() for _ in range(n_layers)
        )
        self.drop = Dropout(dropout)

    def forward(self, start: Tensor) -> Tensor:
        """start float (B, C) -> float (B, C)."""
        x = start
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.drop(torch.addcmul(x, start, relu(norm(layer(x)))))
        return x

    def fold(self) -> None:
        """Batch norms into the maps before them, for judging only."""
        for n, norm in enumerate(self.norms):
            if isinstance(norm, BatchNorm):
                merge(self.layers[n], norm)  # type: ignore[arg-type]
                self.norms[n] = nn.Identity()
