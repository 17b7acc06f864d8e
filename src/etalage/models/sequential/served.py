"""What does a server ask of causal blocks? The newest state of one history, without padding.

A single request costs more in operations than in products, so everything here is a matrix of two
axes, and the last block projects no keys and values: only one row looks.

Letters: L history length, D width, H heads, E width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from etalage.layers.attention import CausalBlock


class Newest(nn.Module):
    """The state that a network of item and place vectors, blocks and a last norm ends in."""

    later: Tensor  # (longest L, longest L) minus infinity where a row may not look

    def __init__(
        self,
        items: nn.Embedding,
        places: nn.Embedding,
        blocks: Sequence[CausalBlock],
        norm: nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.items, self.places, self.norm = items, places, norm
        *before, last = blocks
        self.blocks = nn.ModuleList(EveryRow(block) for block in before)
        self.last = LastRow(last)
        longest = places.num_embeddings
        later = torch.full((longest, longest), -torch.inf).triu(1)
        self.register_buffer("later", later, persistent=False)

    def forward(self, history: Tensor) -> Tensor:
        """history int64 (1, L) -> state float (1, D)."""
        x = self.rows(history[0])
        length = x.shape[0]  # len(x) would freeze it
        later = self.later[:length, :length]
        for block in self.blocks:
            x = block(x, later)
        return self.norm(self.last(x))

    def rows(self, items: Tensor) -> Tensor:
        """What the blocks read of items int64 (L,), float (L, D)."""
        return self.items(items) + self.places.weight[: items.shape[0]]


class EveryRow(nn.Module):
    """What a block makes of all rows."""

    def __init__(self, block: CausalBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, later: Tensor) -> Tensor:
        """x float (L, D) -> float (L, D)."""
        block, n_heads = self.block, self.block.n_heads
        width = block.head_width
        parts = block.project_in(block.norm_attention(x)).split(width, 1)  # (L, E) each
        queries, keys, values = (parts[i * n_heads : (i + 1) * n_heads] for i in range(3))
        seen = [
            ((query @ key.T) * width**-0.5 + later).softmax(1) @ value
            for query, key, value in zip(queries, keys, values, strict=True)
        ]
        return _feed(block, x + block.project_out(torch.cat(seen, 1)))


class LastRow(nn.Module):
    """What a block makes of the last row.

    A row's likeness to a key, q · W_k h, is (W_k' q) · h, and what it sees, Σ a W_v h, is
    W_v Σ a h. So keys and values fold into the maps before and after. The keys' bias adds the
    same to every likeness, which the softmax takes away.
    """

    def __init__(self, block: CausalBlock) -> None:
        super().__init__()
        self.block = block
        width = block.project_out.out_features
        rows = (3, block.n_heads, block.head_width)
        with torch.no_grad():
            query, key, value = block.project_in.weight.view(*rows, width)  # (H, E, D) each
            query_bias, _, value_bias = block.project_in.bias.view(rows)
            out = block.project_out.weight.view(width, *rows[1:])  # (D, H, E)
            scale = rows[2] ** -0.5
            self.ask = _linear(
                torch.einsum("hei,hej->hji", query, key).flatten(0, 1) * scale,
                torch.einsum("he,hej->hj", query_bias, key).flatten() * scale,
            )
            self.tell = _linear(
                torch.einsum("dhe,hej->dhj", out, value).flatten(1),
                block.project_out(value_bias.flatten()),
            )

    def forward(self, x: Tensor) -> Tensor:
        """x float (L, D) -> float (1, D)."""
        width = x.shape[1]
        normed = self.block.norm_attention(x)
        asked = self.ask(normed[-1:]).view(-1, width)  # (H, D)
        weights = (asked @ normed.T).softmax(1)  # (H, L)
        seen = (weights @ normed).view(1, -1)  # (1, H D)
        return _feed(self.block, x[-1:] + self.tell(seen))


def _feed(block: CausalBlock, x: Tensor) -> Tensor:
    inner = nn.functional.gelu(block.expand(block.norm_forward(x)))
    return x + block.contract(inner)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer
