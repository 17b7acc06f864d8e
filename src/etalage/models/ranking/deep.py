"""A deep network over the fields, alone or beside something simple: DNN, Wide & Deep, DeepFM.

Wide & Deep: Cheng et al., 2016, arXiv 1606.07792. DeepFM: Guo et al., 2017, arXiv 1703.04247.

Letters: B rows, C columns in all: vectors of the fields and numbers.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from etalage.layers.mlp import MLP, Logit
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, DeepConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class DNNConfig(DeepConfig):
    """Settings of a plain deep network."""

    kind: Literal["dnn"] = "dnn"


class WideDeepConfig(DeepConfig):
    """Settings of Wide & Deep."""

    kind: Literal["wide_deep"] = "wide_deep"


class DeepFMConfig(DeepConfig):
    """Settings of DeepFM."""

    kind: Literal["deepfm"] = "deepfm"


class DNNNetwork(RankingNetwork):
    """Deep layers over all columns; what stands beside them shares the tables."""

    def __init__(
        self, columns: Columns, config: DeepConfig, *, has_wide_part: bool = False
    ) -> None:
        super().__init__(
            columns, config.width, first_order=has_wide_part, number_fields=has_wide_part
        )
        self.deep = MLP(self.n_columns, config.hidden, config.dropout, batch_norm=config.batch_norm)
        self.out = Logit(self.deep.n_out)
        self.reads_rounded = bool(config.hidden)  # without a layer, the logit reads the fields

    def read(self, x: Looked) -> Tensor:
        logits: Tensor = self.out(self.deep(x.columns))
        return logits


class WideDeepNetwork(DNNNetwork):
    """Deep layers beside weights that add up."""

    def __init__(self, columns: Columns, config: DeepConfig) -> None:
        super().__init__(columns, config, has_wide_part=True)

    def read(self, x: Looked) -> Tensor:
        return super().read(x) + x.terms.sum(1)


class DeepFMNetwork(WideDeepNetwork):
    """Deep layers beside a factorization machine of the same vectors."""

    def read(self, x: Looked) -> Tensor:
        return super().read(x) + x.agreement


class DNN(NetworkRanker):
    """logit = w · mlp(x) + b: what every cleverer network is measured against."""

    config_type = DNNConfig
    network_type = DNNNetwork


class WideDeep(NetworkRanker):
    """logit = Σ_i w_i + w · mlp(x) + b (equation 3), without products of fields made by hand."""

    config_type = WideDeepConfig
    network_type = WideDeepNetwork


class DeepFM(NetworkRanker):
    """logit = Σ_i w_i + Σ_{i<j} <v_i, v_j> + w · mlp(x) + b (equations 1 to 4)."""

    config_type = DeepFMConfig
    network_type = DeepFMNetwork
