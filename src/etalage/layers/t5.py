"""Who looks at whom, told by distance alone? The blocks of T5 (Raffel et al., 2020, 1910.10683).

No biases, norms that only scale, attention without a scale, and a learned number for each distance
between two tokens, shared by all blocks of a stack. Weights are those of Hugging Face's T5.
Letters: B people, T tokens, S tokens looked at, D width, H heads, E width of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from etalage.layers.attention import Past, look
from etalage.layers.dropout import Dropout
from etalage.layers.eight_bits import columns_of

N_BUCKETS = 32
FURTHEST = 128
"""Distances from here on share a bucket."""


class Distances(nn.Module):
    """What a distance is worth to each head: near ones one by one, far ones by powers."""

    def __init__(self, n_heads: int, *, both_ways: bool) -> None:
        """`both_ways` where rows look ahead, too; then half of the buckets are for that."""
        super().__init__()
        self.both_ways = both_ways
        self.worth = nn.Embedding(N_BUCKETS, n_heads)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Places of the rows int64 (T,) and of what they look at (S,): float (1, H, T, S)."""
        return self.worth(self._buckets(columns - rows[:, None])).permute(2, 0, 1)[None]

    def _buckets(self, ahead: Tensor) -> Tensor:
        n_buckets, first = N_BUCKETS, torch.zeros_like(ahead)
        if self.both_ways:
            n_buckets //= 2
            first = (ahead > 0) * n_buckets
            away = ahead.abs()
        else:
            away = (-ahead).clamp(min=0)
        n_single = n_buckets // 2
        power = torch.log(away.clamp(min=1).float() / n_single) / math.log(FURTHEST / n_single)
        far = (n_single + power * (n_buckets - n_single)).long().clamp(max=n_buckets - 1)
        return first + torch.where(away < n_single, away, far)


class Attention(nn.Module):
    """Rows of a stack look at each other, or at the rows of another stack."""

    def __init__(self, width: int, n_heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.inner = n_heads, n_heads * head_width
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.project_in = nn.Linear(width, 3 * self.inner, bias=False)  # queries, keys, values
        self.project_out = nn.Linear(self.inner, width, bias=False)
        self.drop = Dropout(dropout)

    def heads(self, rows: Tensor, first: int = 0, last: int = 3) -> tuple[Tensor, ...]:
        """Queries (0), keys (1) and values (2) from first to before last: (B, H, T, E) each."""
        parts = columns_of(self.project_in, rows, first * self.inner, last * self.inner)
        parts = parts.view(*rows.shape[:2], last - first, self.n_heads, -1)
        return parts.permute(2, 0, 3, 1, 4).unbind()

    def forward(self, query: Tensor, keys: tuple[Tensor, Tensor], bias: Tensor | None) -> Tensor:
        """What queries see, (B, T, D); `bias` float (B or 1, H or 1, T, S), None for none."""
        bias = None if bias is None else bias.to(query.dtype)
        seen = look(query, *keys, bias, self.drop, scale=1.0)
        return self.drop(self.project_out(seen.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """x + attention, with `reads` x + attention to another stack, then x + feed-forward."""

    def __init__(
        self,
        width: int,
        n_heads: int,
        head_width: int,
        inner_width: int,
        dropout: float,
        *,
        reads: bool,
    ) -> None:
        super().__init__()
        self.attention = Attention(width, n_heads, head_width, dropout)
        self.reading = Attention(width, n_heads, head_width, dropout) if reads else None
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, inner_width, bias=False)
        self.contract = nn.Linear(inner_width, width, bias=False)
        self.drop = Dropout(dropout)

    def read_keys(self, read: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the rows (B, S, D) of the other stack."""
        assert self.reading is not None
        key, value = self.reading.heads(read, 1)
        return key, value

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        read: tuple[Tensor, Tensor] | None = None,
        read_bias: Tensor | None = None,
        past: Past | None = None,
    ) -> Tensor:
        """x float (B, T, D) -> float (B, T, D).

        `bias` (B or 1, H, T, S) is added to the likeness, -inf where a row may not look; `read` are
        keys and values of the other stack, with a bias of their own. With a `past` rows look at
        the rows before them as well.
        """
        query, *rows = self.attention.heads(self.attention.norm(x))
        keys = (rows[0], rows[1]) if past is None else past.grow(*rows)
        x = x + self.attention(query, keys, bias)
        if self.reading is not None:
            assert read is not None
            (query,) = self.reading.heads(self.reading.norm(x), 0, 1)
            x = x + self.reading(query, read, read_bias)
        inner = self.drop(self.expand(self.norm(x)).relu_())
        return x + self.drop(self.contract(inner))


def closed(may: Tensor) -> Tensor:
    """What to add to a likeness: 0 where a row may look (bool), -inf where not."""
    return torch.zeros(may.shape).masked_fill(~may, -torch.inf)
