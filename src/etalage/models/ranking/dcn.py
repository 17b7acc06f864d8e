"""Explicit feature crosses beside a deep network: DCN and DCN-V2.

DCN: Wang et al., 2017, arXiv 1708.05123. DCN-V2: Wang et al., 2021, arXiv 2008.13535. The two parts
stand in parallel and a last layer reads both.

Letters: B rows, C columns in all: vectors of the fields and numbers.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from etalage.layers.cross import CrossStack, VectorCross
from etalage.layers.mlp import MLP, Logit
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, DeepConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class CrossConfig(DeepConfig):
    """Settings of every ranker with cross layers."""

    n_crosses: int = Field(3, ge=1)
    """Cross layers; n of them give products of n + 1 columns."""


class DCNConfig(CrossConfig):
    """Settings of DCN."""

    kind: Literal["dcn"] = "dcn"


class DCNV2Config(CrossConfig):
    """Settings of DCN-V2."""

    kind: Literal["dcn_v2"] = "dcn_v2"


class DCNNetwork(RankingNetwork):
    """Crosses and a deep network over the same columns."""

    cross_type: type[nn.Module] = VectorCross

    def __init__(self, columns: Columns, config: CrossConfig) -> None:
        super().__init__(columns, config.width)
        self.cross = self.cross_type(self.n_columns, config.n_crosses)
        self.deep = MLP(self.n_columns, config.hidden, config.dropout, batch_norm=config.batch_norm)
        self.out = Logit(self.n_columns + self.deep.n_out)

    def read(self, x: Looked) -> Tensor:
        logits: Tensor = self.out(self.cross(x.columns), self.deep(x.columns))
        return logits


class DCNV2Network(DCNNetwork):
    """The same with a whole matrix a cross layer."""

    cross_type = CrossStack


class DCN(NetworkRanker):
    """logit = w · [cross(x), mlp(x)] + b (equation 5), crosses of one vector each."""

    config_type = DCNConfig
    network_type = DCNNetwork


class DCNV2(NetworkRanker):
    """logit = w · [cross(x), mlp(x)] + b, crosses of one matrix each."""

    config_type = DCNV2Config
    network_type = DCNV2Network
