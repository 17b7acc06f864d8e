"""Neighbours' vectors, summed and nothing else: LightGCN (He et al., SIGIR 2020, arXiv 2002.02126).

Letters: V nodes, D width, L layers, N items.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from etalage.data.dataset import Dataset
from etalage.layers.propagation import mean_of_layers
from etalage.models.graph.nodes import Graph, Nodes
from etalage.models.graph.pairwise import PairwiseConfig, PairwiseRecommender


class LightGCNConfig(PairwiseConfig):
    """Settings of LightGCN; as published with loss="bpr", sampling="user" and 3 layers."""

    kind: Literal["lightgcn"] = "lightgcn"
    n_layers: int = Field(3, ge=0)
    """Propagations; with 0 it is matrix factorisation."""


class MeanOfLayers(Nodes):
    """Z = (X⁰ + ... + X^L) / (L + 1), with X^{l+1} = D^-1/2 A D^-1/2 X^l."""

    def __init__(self, graph: Graph, config: LightGCNConfig) -> None:
        super().__init__(graph, config)
        self.n_layers = config.n_layers

    def forward(self) -> Tensor:
        return mean_of_layers(self.graph.adjacency, self.start(), self.n_layers)

    def through_items(self) -> Tensor:
        if self.n_layers == 0:
            return super().through_items()
        mean = mean_of_layers(self.graph.adjacency, self.start(), self.n_layers - 1)
        return self.graph.to_users_in_mean(mean, self.n_layers)


class LightGCN(PairwiseRecommender):
    """score(i) = z_u · z_i, or the cosine of the two, with z the mean of all layers."""

    config_type = LightGCNConfig
    config: LightGCNConfig

    def network(self, graph: Graph, data: Dataset, seed: int) -> MeanOfLayers:
        return MeanOfLayers(graph, self.config)
