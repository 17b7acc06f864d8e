"""What comes after the vectors? Layers of a linear map, a batch norm, an activation and dropout.

Letters: B rows, C columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from etalage.layers import fused
from etalage.layers.dropout import Dropout
from etalage.layers.norm import BatchNorm, merge


class Layer(nn.Module):
    """drop(activation(BN(W x + b))), (B, C) -> (B, n_out)."""

    def __init__(
        self,
        n_columns: int,
        n_out: int,
        dropout: float,
        *,
        batch_norm: bool,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(n_columns, n_out)
        self.norm = BatchNorm(n_out) if batch_norm else None
        self.activation, self.drop = activation(), Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        is_relu = isinstance(self.activation, nn.ReLU)
        if is_relu and self.norm is None and not torch.is_grad_enabled():
            judged: Tensor = self.drop(fused.mapped(self.linear, x, relu=True))
            return judged
        h: Tensor = self.linear(x)
        if is_relu and fused.suits(h, self, self.norm, self.drop):
            return fused.activated(h, self.norm, self.drop.threshold)
        if self.norm is not None:
            h = self.norm(h)
        dropped: Tensor = self.drop(self.activation(h))
        return dropped

    def fold(self) -> None:
        """The batch norm into the map before it, for judging only."""
        if self.norm is not None:
            merge(self.linear, self.norm)
            self.norm = None


class Logit(nn.Linear):
    """w · x + b in the precision of w, whatever that of the columns; x may come in parts.

    >>> Logit(5)(torch.ones(7, 3), torch.ones(7, 2)).shape
    torch.Size([7])
    """

    def __init__(self, n_columns: int, *, bias: bool = True) -> None:
        super().__init__(n_columns, 1, bias)

    def forward(self, *parts: Tensor) -> Tensor:
        """parts float (B, some of the C) -> float (B,)."""
        widths = [part.shape[1] for part in parts]
        with torch.autocast(parts[0].device.type, enabled=False):
            weights = self.weight.split(widths, 1)
            first, *others = (
                linear(part.to(weight.dtype), weight, self.bias if n == 0 else None)
                for n, (part, weight) in enumerate(zip(parts, weights, strict=True))
            )
            return sum(others, first).squeeze(1)


class MLP(nn.Sequential):
    """Layers one after the other, (B, C) -> (B, n_out); without any, x itself.

    >>> MLP(3, (5, 2), 0.1, batch_norm=True).n_out
    2
    """

    def __init__(
        self,
        n_columns: int,
        hidden: Sequence[int],
        dropout: float = 0.0,
        *,
        batch_norm: bool = False,
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        widths = (n_columns, *hidden)
        super().__init__(
            *(
                Layer(*pair, dropout, batch_norm=batch_norm, activation=activation)
                for pair in pairwise(widths)
            )
        )
        self.n_out = widths[-1]
