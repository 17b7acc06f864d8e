"""What comes after the vectors? Layers of a linear map, a batch norm, an activation and dropout.

Letters: B rows, C columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from etalage.layers.dropout import Dropout
from etalage.layers.norm import BatchNorm, merge


class MLP(nn.Sequential):
    """drop(activation(BN(W x + b))) a layer, (B, C) -> (B, n_out); without layers, x itself.

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
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(nn.Linear(before, after))
            if batch_norm:
                layers.append(BatchNorm(after))
            layers += [activation(), Dropout(dropout)]
        super().__init__(*layers)
        self.n_out = widths[-1]

    def fold(self) -> None:
        """Batch norms into the maps before them, for judging only."""
        for n, (linear, norm) in enumerate(pairwise(list(self))):
            if isinstance(linear, nn.Linear) and isinstance(norm, BatchNorm):
                merge(linear, norm)
                self[n + 1] = nn.Identity()
