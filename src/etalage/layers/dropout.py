"""What is left out of a step? Dropout whose mask costs a byte of randomness an entry.

On a processor torch draws one Bernoulli number an entry, which takes three times as long as the
matrix product before it. Here random words are drawn and read byte by byte.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

BYTES = 256


class Dropout(nn.Module):
    """y = x m / P(m = 1), with m = 0 at a rate that is rounded to a multiple of 1/256.

    A rate above 0 is at least 1/256, and none is above 255/256: small never means none, and large
    never all.

    >>> Dropout(0.1).rate == 26 / 256
    True
    >>> [256 * Dropout(rate).rate for rate in (0, 0.001, 0.999)]
    [0.0, 1.0, 255.0]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate must lie in 0..1, 1 not included; got {rate}")
        self.threshold = min(max(round(BYTES * rate), 1), BYTES - 1) if rate else 0

    @property
    def rate(self) -> float:
        """Share of entries that become 0 in training."""
        return self.threshold / BYTES

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.threshold:
            return x
        if x.device.type != "cpu":  # an accelerator draws numbers on the way
            return nn.functional.dropout(x, self.rate)
        dropped: Tensor = _Masked.apply(x, self.threshold)
        return dropped


class _Masked(torch.autograd.Function):
    """Keeps one bool an entry for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int) -> Tensor:
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None)  # all 64 bits; the default leaves the sign at 0
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
        ctx.save_for_backward(kept)
        ctx.scale = BYTES / (BYTES - threshold)
        return torch.mul(x, kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return torch.mul(grad, kept).mul_(ctx.scale), None
