"""Who looks at whom? A causal transformer over a history.

Letters: B people, L history length, D width, H heads, E width of a head, S entries looked at.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from etalage.layers.dropout import Dropout


class HasHeads(Protocol):
    """Settings of a network with attention."""

    @property
    def width(self) -> int:
        """Width of the network."""

    @property
    def n_heads(self) -> int:
        """Attention heads of a block."""


S = TypeVar("S", bound=HasHeads)


def check_heads(settings: S) -> S:
    """Returns settings as they are; ValueError where the heads cannot share the width."""
    if settings.width % settings.n_heads:
        raise ValueError(f"width={settings.width} is not divisible by n_heads={settings.n_heads}")
    return settings


class Past:
    """Keys and values of one block, kept while rows are added; what is there never moves.

    Beams that share a beginning share its keys: which of them a row may see is up to the mask.
    """

    def __init__(self, room: int) -> None:
        """Leaves room for so many rows after the first ones."""
        self.room = room
        self.n_rows = 0

    def grow(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Adds rows (B, H, n, E) and returns all there are, (B, H, S, E) each."""
        start, self.n_rows = self.n_rows, self.n_rows + key.shape[2]
        if start == 0:
            shape = (*key.shape[:2], self.n_rows + self.room, key.shape[3])
            self.keys, self.values = key.new_empty(shape), value.new_empty(shape)
        self.keys[:, :, start : self.n_rows] = key
        self.values[:, :, start : self.n_rows] = value
        return self.keys[:, :, : self.n_rows], self.values[:, :, : self.n_rows]


class CausalBlock(nn.Module):
    """Pre-norm block: x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(
        self,
        width: int,
        n_heads: int,
        dropout: float,
        head_width: int | None = None,
        inner_width: int | None = None,
    ) -> None:
        """Heads share the width, and the feed-forward is 4 times as wide, unless told otherwise."""
        super().__init__()
        self.n_heads = n_heads
        self.head_width = head_width or width // n_heads
        inner_width = inner_width or 4 * width
        self.norm_attention = nn.LayerNorm(width)
        self.project_in = nn.Linear(width, 3 * n_heads * self.head_width)
        self.project_out = nn.Linear(n_heads * self.head_width, width)
        self.norm_forward = nn.LayerNorm(width)
        self.expand = nn.Linear(width, inner_width)
        self.contract = nn.Linear(inner_width, width)
        self.drop = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        *,
        newest_only: bool = False,
        past: Past | None = None,
    ) -> Tensor:
        """x float (B, L, D); mask bool (B, 1, L, S), true where a row may look.

        With `newest_only` only the last position is computed, (B, 1, D): all that an answer
        needs of a last block, at a third of its cost. Without a mask every row looks everywhere.
        With a `past` rows look at the rows before them as well, which S counts.
        """
        b, length, _ = x.shape
        parts = self.project_in(self.norm_attention(x))  # (B, L, 3 H E)
        parts = parts.view(b, length, 3, self.n_heads, self.head_width)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, H, L, E) each
        if past is not None:
            key, value = past.grow(key, value)
        if newest_only:
            x, query = x[:, -1:], query[:, :, -1:]
            mask = None if mask is None else mask[:, :, -1:]
        seen = look(query, key, value, mask, self.drop)
        seen = seen.transpose(1, 2).reshape(b, x.shape[1], -1)  # (B, L or 1, H E)
        x = x + self.drop(self.project_out(seen))
        inner = nn.functional.gelu(self.expand(self.norm_forward(x)))
        return x + self.drop(self.contract(inner))


def look(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    drop: Dropout,
    scale: float | None = None,
) -> Tensor:
    """Attention of queries (B, H, L, E) to keys and values (B, H, S, E): (B, H, L, E).

    `mask` is bool, true where a row may look, or a float to add to the likeness. Weights are
    dropped in training. Without a `scale` it is 1 / sqrt(E).
    """
    if not (drop.training and drop.rate):
        return nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scale)
    likeness = (query @ key.transpose(-1, -2)) * (scale or query.shape[-1] ** -0.5)
    if mask is not None and mask.dtype == torch.bool:
        likeness = likeness.masked_fill(~mask, -torch.inf)
    elif mask is not None:
        likeness = likeness + mask
    return drop(likeness.softmax(-1)) @ value


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
