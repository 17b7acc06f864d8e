"""One weight a code and nothing else: logistic regression, the row that every network must beat.

Letters: B rows, N fields.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from etalage.layers.fm import Additive
from etalage.models.ranking.network import Columns, Looked, RankerConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class LRConfig(RankerConfig):
    """Settings of logistic regression."""

    kind: Literal["lr"] = "lr"
    width: Literal[1] = 1
    """A code's vector is its weight."""


class LRNetwork(RankingNetwork):
    """Weights that add up."""

    def __init__(self, columns: Columns, config: LRConfig) -> None:
        super().__init__(columns, config.width, number_fields=True)
        self.out = Additive()

    def read(self, x: Looked) -> Tensor:
        return self.out(x.flat)


class LR(NetworkRanker):
    """logit = b + Σ_i w_i: sees no pair of fields, so it orders items the same for everyone."""

    config_type = LRConfig
    network_type = LRNetwork
