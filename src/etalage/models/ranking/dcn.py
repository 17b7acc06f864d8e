"""Explicit feature crosses beside a deep network: DCN-V2 (Wang et al., 2021, arXiv 2008.13535).

The two stand in parallel and a last layer reads both.

Letters: B rows, C columns in all: vectors of the fields and numbers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from etalage.layers.cross import CrossStack
from etalage.layers.dropout import Dropout
from etalage.models.ranking.network import Columns, Looked, RankerConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class DCNConfig(RankerConfig):
    """Settings of DCN-V2."""

    kind: Literal["dcn"] = "dcn"
    n_crosses: int = Field(3, ge=1)
    """Cross layers."""
    hidden: tuple[int, ...] = (128, 64)
    """Widths of the deep layers."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of deep activations dropped in training."""


class DCNNetwork(RankingNetwork):
    """Crosses and a deep network over the same columns."""

    def __init__(self, columns: Columns, config: DCNConfig) -> None:
        super().__init__(columns, config.width)
        n_columns = columns.n_fields * config.width + columns.n_numbers
        self.cross = CrossStack(n_columns, config.n_crosses)
        widths = (n_columns, *config.hidden)
        self.deep = nn.Sequential(
            *(
                layer
                for before, after in pairwise(widths)
                for layer in (nn.Linear(before, after), nn.ReLU(), Dropout(config.dropout))
            )
        )
        self.out = nn.Linear(n_columns + widths[-1], 1)

    def read(self, x: Looked) -> Tensor:
        columns = torch.cat([x.flat, x.numbers], 1)  # (B, C)
        both = torch.cat([self.cross(columns), self.deep(columns)], 1)
        return self.out(both).squeeze(1)


class DCN(NetworkRanker):
    """logit = w · [cross(x), deep(x)] + b."""

    config_type = DCNConfig
    network_type = DCNNetwork
