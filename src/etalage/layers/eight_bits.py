"""Linear layers whose weights are whole numbers of 8 bits, for networks that only answer.

y = s_x s_w (q_x q_w^T) + b: each row of the weights, and each row that comes in, is rounded to
-127..127 of a scale of its own. Sums of whole numbers are exact, so unlike a product in 16 bits a
row's result depends neither on the rows beside it nor on the machine. What goes in must be the
same, though: a difference in a last digit can end in another whole number.
Letters: R rows, D width in, E width out.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

LARGEST = 127
ROWS_AT_ONCE = 512
"""Rows whose sums of whole numbers are held at once; they stay in the cache until scaled."""


class EightBitLinear(nn.Module):
    """A linear layer in 8 bits; a quarter of the memory, and a loss of about 1 % of each number."""

    weight: Tensor  # int8 (E, D)
    scale: Tensor  # float32 (E,)
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        with torch.no_grad():
            weight, scale = rounded(linear.weight.float())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale[:, 0])
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

    def forward(self, x: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """x float (..., D) -> float32 (..., E), or only columns first to before last of it."""
        weight, scale = self.weight[first:last], self.scale[first:last]
        rows = x.reshape(-1, x.shape[-1]).float()
        out = rows.new_empty((len(rows), len(weight)))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = out[start : start + ROWS_AT_ONCE]
            whole, scales = rounded(rows[start : start + ROWS_AT_ONCE])
            torch.mul(_sums(whole, weight), scale, out=part)
            part.mul_(scales)
        if self.bias is not None:
            out += self.bias[first:last]
        return out.view(*x.shape[:-1], len(weight))


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers int8 (R, D) and scales (R, 1), of which rows float32 (R, D) are the product."""
    scales = rows.abs().amax(1, keepdim=True).clamp_(min=torch.finfo(torch.float32).tiny)
    scales = scales.div_(LARGEST)
    return (rows / scales).round_().to(torch.int8), scales


def in_eight_bits(network: nn.Module) -> nn.Module:
    """Puts an EightBitLinear in the place of every plain linear layer inside a network."""
    for name, part in network.named_children():
        if type(part) is nn.Linear:  # what derives from it may answer otherwise
            setattr(network, name, EightBitLinear(part))
        else:
            in_eight_bits(part)
    return network


def columns_of(linear: nn.Linear | EightBitLinear, x: Tensor, first: int, last: int) -> Tensor:
    """Columns first to before last of what a linear layer without a bias makes of x."""
    if isinstance(linear, EightBitLinear):
        columns: Tensor = linear(x, first, last)
        return columns
    return nn.functional.linear(x, linear.weight[first:last])


def _sums(rows: Tensor, weight: Tensor) -> Tensor:
    """rows int8 (R, D) times weight int8 (E, D), exact, int32 (R, E)."""
    if rows.shape[1] > 1 and _are_exact():  # it takes the strides of one column for another's
        return torch._int_mm(rows, weight.T)
    # whole numbers below 2^24 are exact in float32, and a product of 1,040 columns stays below
    exact = torch.float32 if rows.shape[1] * LARGEST**2 < 2**24 else torch.float64
    return (rows.to(exact) @ weight.to(exact).T).to(torch.int32)


@cache
def _are_exact() -> bool:
    """Whether products of 8 bits are exact here: without VNNI pairs of them overflow 16 bits."""
    largest = torch.full((1, 32), LARGEST, dtype=torch.int8)
    return int(torch._int_mm(largest, largest.T)) == 32 * LARGEST**2
