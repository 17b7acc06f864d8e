"""One weight a code and nothing else: logistic regression, the row that every network must beat.

Letters: B rows, N fields.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from etalage.layers.fm import Additive
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, RankerConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker
from etalage.recipe.config import ModelConfig


class LRConfig(RankerConfig):
    """Settings of logistic regression."""

    kind: Literal["lr"] = "lr"
    width: Literal[1] = 1
    """A code's vector is its weight."""


class LRNetwork(RankingNetwork):
    """Weights that add up.

    A history is not read: its items have the weights of the first field, and would say that who
    took what many take clicks more.
    """

    def __init__(self, columns: Columns, config: ModelConfig) -> None:
        super().__init__(columns, 1, number_fields=True)
        before = len(columns.sizes) + len(columns.bags)
        self.parts = (before, min(columns.history_length, 1), columns.n_numbers)
        self.out = Additive()

    def read(self, x: Looked) -> Tensor:
        codes, _, numbers = x.flat.split(self.parts, 1)
        logits: Tensor = self.out(torch.cat([codes, numbers], 1))
        return logits


class LR(NetworkRanker):
    """logit = b + Σ_i w_i: sees no pair of fields, so it orders items the same for everyone."""

    config_type = LRConfig
    network_type = LRNetwork
