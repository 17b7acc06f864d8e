"""A history is a text of codes: a causal transformer that reads and writes token by token.

The decoder-only twin of TIGER. One pass over a history asks for the codes of every item in it, so
that no prefix is a training example of its own. Blocks are those of GPT-2, whose weights fit.
Letters: see `network.py`; M = 1 + T L tokens of a history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.layers.attention import Past, causal_mask
from etalage.models.generative.network import START, CodeNetwork, Lineage, Spelled
from etalage.tokenize.semantic_ids import SemanticIds

if TYPE_CHECKING:
    from etalage.models.generative.tiger import TIGERConfig
    from etalage.tokenize.beam import Step


class DecoderNetwork(CodeNetwork):
    """Places count items and levels count codes within one; START stands before the first item."""

    rows_at_once = 2**12

    def __init__(self, ids: SemanticIds, config: TIGERConfig) -> None:
        super().__init__(ids, config)
        self.n_levels = ids.n_levels
        self.places = nn.Embedding(config.max_length + 1, config.width)
        self.levels = nn.Embedding(ids.n_levels + 1, config.width)  # the last is that of START
        self.blocks = nn.ModuleList(config.block() for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width)
        for table in (self.places, self.levels):
            nn.init.normal_(table.weight, std=0.02)

    def embed(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """history int64 (B, T) -> vectors (B, M, D), and which tokens are known, bool (B, M)."""
        length = history.shape[1]
        known = history >= 0
        n_padding = (~known).sum(1, keepdim=True)  # START moves up to the first item
        place = (known.cumsum(1) - 1).clamp(min=0)  # (B, T)
        x = self.table(self.tokens[history.clamp(min=0)])  # (B, T, L, D)
        x = x + self.places(place)[:, :, None] + self.levels.weight[:-1]
        x = torch.where(known[..., None, None], x, 0).flatten(1, 2)  # (B, T L, D)
        start = self.table.weight[START] + self.levels.weight[-1]
        x = torch.cat([torch.zeros_like(x[:, :1]), x], 1)  # (B, M, D)
        column = torch.arange(1 + length * self.n_levels)
        is_start = column == n_padding * self.n_levels
        x = torch.where(is_start[..., None], start, x)
        return self.drop(x), column >= n_padding * self.n_levels

    def read(self, history: Tensor) -> Tensor:
        """history int64 (B, T) -> states (B, M, D): state m knows the tokens up to m."""
        x, known = self.embed(history)
        mask = causal_mask(known)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    def spell(self, history: Tensor) -> Spelled:
        asked = self.asked(history)
        items = history[asked]
        codes = self.codes[items.numpy()]  # (P, L)
        states = self.read(history)  # (B, M, D)
        before = states[:, :-1].unflatten(1, (-1, self.n_levels))[asked]  # (P, L, D)
        total = torch.zeros(())
        for level in range(self.n_levels):
            total = total + self.surprise(self.logits(before[:, level], level), codes, level)
        return Spelled(
            total / len(items),
            items,
            before[:, 0],
            states[:, self.n_levels :: self.n_levels][asked],
        )

    def reader(self, history: Tensor, n_beams: int) -> Step:
        room = n_beams * (self.n_levels - 1)
        pasts = [Past(room) for _ in self.blocks]
        x, known = self.embed(history)
        mask = causal_mask(known)
        *blocks, last = self.blocks
        for block, past in zip(blocks, pasts, strict=False):
            x = block(x, mask, past=past)
        first = self.norm(last(x, mask, newest_only=True, past=pasts[-1]))  # (B, 1, D)
        n_known = (history >= 0).sum(1, keepdim=True)
        place = self.places(n_known.clamp(max=self.places.num_embeddings - 1))  # (B, 1, D)
        lineage = Lineage(len(history))

        def step(prefixes: NDArray[np.int32], parents: NDArray[np.int64]) -> NDArray[np.float32]:
            level = prefixes.shape[2]
            with torch.inference_mode():
                x = first
                if level:
                    x = self.table(self.written(prefixes)[:, :, -1])  # (B, K, D)
                    x = x + place + self.levels.weight[level - 1]
                    shared = known[:, None].expand(-1, x.shape[1], -1)
                    seen = torch.cat([shared, lineage.add(parents)], 2)[:, None]
                    for block, past in zip(self.blocks, pasts, strict=True):
                        x = block(x, seen, past=past)
                    x = self.norm(x)
                logits: NDArray[np.float32] = self.logits(x, level).numpy()
                return logits

        return step
