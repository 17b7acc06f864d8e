"""A history is read whole, then an item is written: TIGER's own form, a small T5.

Every prefix of a history is a question of its own, since an encoder that looks both ways must not
see what is asked for. Letters: see `network.py`; S = T L + 1 tokens of a history with its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.layers.attention import Past
from etalage.layers.t5 import Block, Distances, closed
from etalage.models.generative.network import END, START, CodeNetwork, Lineage, Spelled
from etalage.models.sequential.batches import Prefixes
from etalage.tokenize.semantic_ids import SemanticIds

if TYPE_CHECKING:
    from etalage.models.generative.tiger import TIGERConfig
    from etalage.tokenize.beam import Step


class EncoderDecoderNetwork(CodeNetwork):
    """`n_layers` blocks that read and as many that write; one table for both and for the logits."""

    batches_of = Prefixes
    rows_at_once = 2**12

    def __init__(self, ids: SemanticIds, config: TIGERConfig) -> None:
        super().__init__(ids, config)
        self.n_levels = ids.n_levels
        self.scale = config.width**-0.5  # as the table is also the last layer
        nn.init.normal_(self.table.weight, std=1.0)

        def blocks(*, reads: bool) -> nn.ModuleList:
            head, inner = config.head, config.inner_width or 4 * config.width
            sizes = (config.width, config.n_heads, head, inner, config.dropout)
            return nn.ModuleList(Block(*sizes, reads=reads) for _ in range(config.n_layers))

        self.reading, self.writing = blocks(reads=False), blocks(reads=True)
        self.apart_read = Distances(config.n_heads, both_ways=True)
        self.apart_written = Distances(config.n_heads, both_ways=False)
        self.norm_read = nn.RMSNorm(config.width, eps=1e-6)
        self.norm_written = nn.RMSNorm(config.width, eps=1e-6)
        self.summary = nn.Parameter(torch.randn(config.width))  # the token after the last code
        for stack in (self.reading, self.writing):
            for name, weight in stack.named_parameters():
                if weight.ndim == 2:
                    nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
                if name.endswith("project_in.weight"):  # no scale in attention: so small queries
                    weight.data[: len(weight) // 3] *= config.head**-0.5

    @property
    def _writers(self) -> list[Block]:
        return cast(list[Block], list(self.writing))

    def encode(self, history: Tensor) -> tuple[Tensor, Tensor | None]:
        """history int64 (B, T) -> states (B, S, D), and what may be read of them (B, 1, 1, S);
        None for all, as where people with histories of one length go together."""
        tokens = self.tokens[history.clamp(min=0)].flatten(1)  # (B, T L)
        tokens = nn.functional.pad(tokens, (0, 1), value=END)
        known = (history >= 0).repeat_interleave(self.n_levels, 1)
        x = self.drop(self.table(tokens))
        place = torch.arange(tokens.shape[1])
        bias, may = self.apart_read(place, place), None  # (1, H, S, S)
        if not known.all():
            may = closed(nn.functional.pad(known, (0, 1), value=True))[:, None, None]
            bias = bias + may  # (B, H, S, S)
        for block in self.reading:
            x = block(x, bias)
        return self.drop(self.norm_read(x)), may

    def spell(self, history: Tensor) -> Spelled:
        items = history[:, -1]
        codes = self.codes[items.numpy()]  # (B, L)
        read, may = self.encode(history[:, :-1])
        tokens = nn.functional.pad(self.tokens[items], (1, 0), value=START)  # (B, 1 + L)
        x = self.table(tokens)
        # the summary comes after the codes, which never see it
        x = self.drop(torch.cat([x, self.summary.expand(len(x), 1, -1)], 1))  # (B, 2 + L, D)
        place = torch.arange(x.shape[1])
        bias = self.apart_written(place, place) + closed(place <= place[:, None])
        for block in self._writers:
            x = block(x, bias, block.read_keys(read), may)
        x = self.drop(self.norm_written(x))
        total = torch.zeros(())
        for level in range(self.n_levels):
            logits = self.logits(x[:, level] * self.scale, level)
            total = total + self.surprise(logits, codes, level)
        return Spelled(total / len(items), items, x[:, 0], x[:, -1])

    def reader(self, history: Tensor, n_beams: int) -> Step:
        read, may = self.encode(history)
        keys = [block.read_keys(read) for block in self._writers]
        pasts = [Past(n_beams * (self.n_levels - 1)) for _ in self.writing]
        lineage, steps = Lineage(len(history)), torch.zeros(0, dtype=torch.int64)

        def step(prefixes: NDArray[np.int32], parents: NDArray[np.int64]) -> NDArray[np.float32]:
            nonlocal steps
            n_people, n_beams, level = prefixes.shape
            with torch.inference_mode():
                x = self.table.weight[START].expand(n_people, n_beams, -1)
                if level:
                    x = self.table(self.written(prefixes)[:, :, -1])  # (B, K, D)
                steps = torch.cat([steps, torch.full((n_beams,), level)])
                bias = self.apart_written(torch.tensor([level]), steps)  # (1, H, 1, rows so far)
                bias = bias + closed(lineage.add(parents))[:, None]
                for block, key, past in zip(self.writing, keys, pasts, strict=True):
                    x = block(x, bias, key, may, past)
                x = self.norm_written(x) * self.scale
                logits: NDArray[np.float32] = self.logits(x, level).numpy()
                return logits

        return step
