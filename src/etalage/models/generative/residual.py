"""An item enters as one vector made of its codes: an RQ-Transformer (Lee et al., 2022, 2203.01941).

It is made for residual codes. A causal transformer reads the items once for all positions, and a
small network writes the codes from a position's state plus the sum of what it has written, as codes
of residuals add up. Sequences are L times shorter than those of tokens, so training costs a small
fraction; and beams share the state, so that nothing needs a cache of keys and values.

Beyond their sum, what codes mean together is learned by a network of their own: a few hundred code
vectors alone cannot tell thousands of items apart, which costs a sixth of NDCG on Beauty.
Letters: see `network.py`; F width inside that network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.layers.attention import causal_mask
from etalage.models.generative.network import START, CodeNetwork, Spelled
from etalage.tokenize.semantic_ids import SemanticIds

if TYPE_CHECKING:
    from etalage.models.generative.tiger import TIGERConfig
    from etalage.tokenize.beam import Step


class ResidualNetwork(CodeNetwork):
    """Reads items as vectors made of their codes, and writes codes level by level."""

    def __init__(self, ids: SemanticIds, config: TIGERConfig) -> None:
        super().__init__(ids, config)
        width, inner = config.width, config.inner_width or 4 * config.width
        self.said = nn.Embedding(self.firsts[-1], width)  # what was written before
        self.norm_codes = nn.LayerNorm(ids.n_levels * width)
        self.mix = nn.Linear(ids.n_levels * width, config.mixing_width)
        self.unmix = nn.Linear(config.mixing_width, width)
        self.places = nn.Embedding(config.max_length + 1, width)
        self.levels = nn.Embedding(ids.n_levels, width)
        self.blocks = nn.ModuleList(config.block() for _ in range(config.n_layers))
        self.norm_read = nn.LayerNorm(width)
        self.norm_said = nn.LayerNorm(width)
        self.expand = nn.Linear(width, inner)
        self.contract = nn.Linear(inner, width)
        self.norm_write = nn.LayerNorm(width)
        for table in (self.said, self.places, self.levels):
            nn.init.normal_(table.weight, std=0.02)

    def vectors(self, items: Tensor) -> Tensor:
        """items int64 (...) -> (..., D): the sum of an item's code vectors, and what they say as
        one, W2 gelu(W1 LN([t_1 ... t_L]))."""
        codes = self.table(self.tokens[items])  # (..., L, D)
        inner = nn.functional.gelu(self.mix(self.norm_codes(codes.flatten(-2))))  # (..., F)
        return codes.sum(-2) + self.unmix(self.drop(inner))

    def read(self, history: Tensor) -> Tensor:
        """history int64 (B, T), left-padded with -1 -> states (B, T + 1, D).

        State t knows the t items before it; a learned start stands before the first item, so that
        the state of an empty history is learned as well.
        """
        history = nn.functional.pad(history, (1, 0), value=-1)  # (B, T + 1)
        n_known = (history >= 0).sum(1, keepdim=True)
        column = torch.arange(history.shape[1])
        known = column >= history.shape[1] - 1 - n_known  # the items, and the start before them
        vectors = self.vectors(history.clamp(min=0))  # (B, T + 1, D)
        x = torch.where(history[..., None] >= 0, vectors, self.table.weight[START])
        place = (known.cumsum(1) - 1).clamp(min=0)
        x = self.drop((x + self.places(place)) * known[..., None])
        mask = causal_mask(known)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm_read(x)

    def write(self, said: Tensor, level: int) -> Tensor:
        """said (..., D): a state plus the vectors of codes written -> logits (..., V)."""
        return self.logits(self.ready(said + self.levels.weight[level]), level)

    def ready(self, said: Tensor) -> Tensor:
        """What was said (..., D), with the level -> states (..., D) to hold against codes."""
        inner = nn.functional.gelu(self.expand(self.norm_said(said)))
        return self.norm_write(said + self.contract(inner))

    def spell(self, history: Tensor) -> Spelled:
        asked = self.asked(history)
        items = history[asked]  # (P,)
        states = said = self.read(history[:, :-1])[asked]  # (P, D)
        codes = self.codes[items.numpy()]  # (P, L)
        total = torch.zeros(())
        for level in range(codes.shape[1]):
            rows = self.open_rows(items, level)
            n_rows = len(rows)
            # rows that no one asks for leave few shapes of matrices (`few_lengths`)
            asked_of = nn.functional.pad(said[rows], (0, 0, 0, -n_rows % 128))
            logits = self.write(asked_of, level)[:n_rows]
            total = total + self.surprise(logits, codes[rows.numpy()], level) / len(items)
            said = said + self.said(self.tokens[items, level])
        return Spelled(total, items, states, said)

    def reader(self, history: Tensor, n_beams: int) -> Step:
        states = self.read(history)[:, -1:]  # (B, 1, D)

        def step(prefixes: NDArray[np.int32], parents: NDArray[np.int64]) -> NDArray[np.float32]:
            level = prefixes.shape[2]
            with torch.inference_mode():
                said = states + self.said(self.written(prefixes)).sum(2)  # (B, K, D)
                logits: NDArray[np.float32] = self.write(said, level).numpy()
                return logits

        return step
