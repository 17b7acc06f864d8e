"""Masks that a row lays over its own features: MaskNet (Wang et al., 2021, arXiv 2102.07619).

Letters: B rows, N fields, D width of a field, d = N D, C columns of a block.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import relu

from etalage.layers.dropout import Dropout
from etalage.layers.mlp import MLP, Logit
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, DeepConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class MaskNetConfig(DeepConfig):
    """Settings of MaskNet."""

    kind: Literal["masknet"] = "masknet"
    form: Literal["parallel", "serial"] = "parallel"
    """All blocks over the fields, side by side, or each over the one before it."""
    blocks: tuple[int, ...] = Field((64, 64, 64), min_length=1)
    """Columns that each block gives."""
    hidden: tuple[int, ...] = (128, 64)
    """Widths of the deep layers over the blocks; the paper's serial form has none."""
    reduction: float = Field(2.0, gt=0)
    """Width inside a mask, as a multiple of the columns that it is laid over."""
    normalise_fields: bool = True
    """Whether each field's vector is normalised before the first masks."""


class MaskBlock(nn.Module):
    """drop(ReLU(LN(W (x ⊙ mask)))) with mask = W_2 ReLU(W_1 v + b_1) + b_2.

    x is what the block is laid over; v is always the vectors of the fields.
    """

    def __init__(
        self, n_columns: int, before: int, after: int, reduction: float, dropout: float
    ) -> None:
        super().__init__()
        inside = max(round(before * reduction), 1)
        self.mask = nn.Sequential(
            nn.Linear(n_columns, inside), nn.ReLU(), nn.Linear(inside, before)
        )
        self.map = nn.Linear(before, after, bias=False)
        self.norm = nn.LayerNorm(after)
        self.drop = Dropout(dropout)

    def forward(self, fields: Tensor, x: Tensor) -> Tensor:
        """fields float (B, d), x float (B, C before) -> float (B, C after)."""
        out: Tensor = self.drop(relu(self.norm(self.map(x * self.mask(fields)))))
        return out


class MaskNetNetwork(RankingNetwork):
    """Blocks over the fields, then deep layers."""

    def __init__(self, columns: Columns, config: MaskNetConfig) -> None:
        super().__init__(columns, config.width, number_fields=True)
        self.is_serial = config.form == "serial"
        d = self.n_columns
        self.norms = (
            nn.ModuleList(nn.LayerNorm(config.width) for _ in range(self.n_fields))
            if config.normalise_fields
            else None
        )
        befores = (d, *config.blocks) if self.is_serial else (d,) * (len(config.blocks) + 1)
        self.blocks = nn.ModuleList(
            MaskBlock(d, before, after, config.reduction, config.dropout)
            for before, after in zip(befores, config.blocks, strict=False)
        )
        n_out = config.blocks[-1] if self.is_serial else sum(config.blocks)
        self.deep = MLP(n_out, config.hidden, config.dropout, batch_norm=config.batch_norm)
        self.out = Logit(self.deep.n_out)

    def read(self, x: Looked) -> Tensor:
        state = x.flat
        if self.norms is not None:
            fields = x.fields.unbind(1)
            normal = [norm(field) for norm, field in zip(self.norms, fields, strict=True)]
            state = torch.cat(normal, 1)  # (B, d)
        if self.is_serial:
            for block in self.blocks:
                state = block(x.flat, state)
        else:
            state = torch.cat([block(x.flat, state) for block in self.blocks], 1)
        logits: Tensor = self.out(self.deep(state))
        return logits


class MaskNet(NetworkRanker):
    """logit = w · mlp(blocks) + b, the blocks in parallel or in series."""

    config_type = MaskNetConfig
    network_type = MaskNetNetwork
