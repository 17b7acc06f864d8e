"""Who looks at whom? A causal transformer over a history.

Letters: B people, L history length, D width, H heads.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from etalage.layers.dropout import Dropout


class HasHeads(Protocol):
    """Settings of a network with attention."""

    width: int
    n_heads: int


S = TypeVar("S", bound=HasHeads)


def check_heads(settings: S) -> S:
    """Returns settings as they are; ValueError where the heads cannot share the width."""
    if settings.width % settings.n_heads:
        raise ValueError(f"width={settings.width} is not divisible by n_heads={settings.n_heads}")
    return settings


class CausalBlock(nn.Module):
    """Pre-norm block: x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_attention = nn.LayerNorm(width)
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.norm_forward = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, *, newest_only: bool = False) -> Tensor:
        """x float (B, L, D); mask bool (B, 1, L, L), true where a row may look.

        With `newest_only` only the last position is computed, (B, 1, D): all that an answer
        needs of a last block, at a third of its cost. Without a mask every row looks everywhere.
        """
        b, length, width = x.shape
        parts = self.project_in(self.norm_attention(x))  # (B, L, 3D)
        parts = parts.view(b, length, 3, self.n_heads, width // self.n_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, H, L, D/H) each
        if newest_only:
            x, query = x[:, -1:], query[:, :, -1:]
            mask = None if mask is None else mask[:, :, -1:]
        seen = self._look(query, key, value, mask)
        seen = seen.transpose(1, 2).reshape(b, -1, width)  # (B, L or 1, D)
        x = x + self.drop(self.project_out(seen))
        inner = nn.functional.gelu(self.expand(self.norm_forward(x)))  # (B, L, 4D)
        return x + self.drop(self.contract(inner))

    def _look(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Attention, (B, H, L or 1, D/H); weights are dropped in training."""
        if mask is None or not (self.training and self.drop.rate):
            return nn.functional.scaled_dot_product_attention(query, key, value, mask)
        likeness = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5  # (B, H, L, L)
        weights = likeness.masked_fill(~mask, -torch.inf).softmax(-1)
        return self.drop(weights) @ value


def causal_mask(known: Tensor) -> Tensor:
    """Who may look at whom, bool (B, 1, L, L), from which entries are known, bool (B, L).

    An entry sees known entries up to itself; a padding entry sees itself, so that no row of the
    softmax is empty.
    """
    length = known.shape[1]
    order = torch.arange(length, device=known.device)
    past = order[:, None] >= order  # (L, L)
    itself = order[:, None] == order
    return ((past & known[:, None, :]) | itself)[:, None]
