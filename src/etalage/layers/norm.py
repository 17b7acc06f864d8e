"""What keeps activations in scale? Batch norm, which leaves again when training is over.

Letters: B rows, C columns.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """Torch's, but one row alone, which has no spread, is normalised by what was seen before."""

    def forward(self, x: Tensor) -> Tensor:
        """x float (B, C) -> float (B, C)."""
        if self.training and len(x) == 1:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


@runtime_checkable
class Foldable(Protocol):
    """A layer with batch norms that directly follow linear maps."""

    def fold(self) -> None:
        """Puts them into the maps, for judging only; a second time does nothing."""


def merge(linear: nn.Linear, norm: nn.BatchNorm1d) -> None:
    """Puts a norm into the map before it: W γ / σ and (b - μ) γ / σ + β, in place.

    The statistics are those that training left, so the map is then for judging only.
    """
    assert norm.running_var is not None
    assert norm.running_mean is not None
    with torch.no_grad():
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # (C,)
        linear.weight *= scale[:, None]
        linear.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias)
