"""Noise instead of cut graphs: SimGCL (Yu et al., SIGIR 2022, arXiv 2112.08679) and XSimGCL (Yu et
al., TKDE 2023, arXiv 2209.02544).

Two noisy views of a node are to be nearer to each other than to those of other nodes, which spreads
vectors evenly. SimGCL propagates three times a step; XSimGCL contrasts a layer with the mean of all
of the one noisy pass that it also learns pairs by.

Letters: V nodes, D width, L layers.
"""

from __future__ import annotations

from functools import reduce
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import embedding

from etalage.data.dataset import Dataset
from etalage.layers.propagation import mean_of_layers
from etalage.models.graph.nodes import Graph, Nodes
from etalage.models.graph.pairs import Batch
from etalage.models.graph.pairwise import PairwiseConfig, PairwiseRecommender
from etalage.models.graph.plan import MemoryPlan
from etalage.train.objectives import shared_softmax


class ContrastiveConfig(PairwiseConfig):
    """Settings that both share."""

    loss: Literal["softmax", "bpr"] = "bpr"
    """BPR, as published, or the softmax of cosines against drawn items."""
    n_layers: int = Field(3, ge=1)
    """Propagations; layer 0 is in no mean."""
    noise: float = Field(0.1, ge=0)
    """Length of the noise that is added at each layer, ε."""
    contrast: float = Field(0.5, ge=0)
    """Weight of the contrast of views, λ."""
    contrast_temperature: float = Field(0.2, gt=0)
    """Divides the cosines of the contrast."""


class SimGCLConfig(ContrastiveConfig):
    """Settings of SimGCL."""

    kind: Literal["simgcl"] = "simgcl"


class XSimGCLConfig(ContrastiveConfig):
    """Settings of XSimGCL."""

    kind: Literal["xsimgcl"] = "xsimgcl"
    noise: float = Field(0.2, ge=0)
    """Length of the noise that is added at each layer, ε."""
    contrast: float = Field(0.2, ge=0)
    """Weight of the contrast of views, λ."""
    contrast_temperature: float = Field(0.15, gt=0)
    """Divides the cosines of the contrast."""
    contrast_layer: int = Field(1, ge=1)
    """Layer, counted from 1, that is contrasted with the mean of all."""

    @model_validator(mode="after")
    def _has_the_layer(self) -> XSimGCLConfig:
        if self.contrast_layer > self.n_layers:
            raise ValueError(
                f"contrast_layer={self.contrast_layer} is beyond n_layers={self.n_layers}"
            )
        return self


class NoisyNodes(Nodes):
    """Z = (X¹ + ... + X^L) / L; a view adds noise to every layer."""

    def __init__(self, graph: Graph, config: ContrastiveConfig) -> None:
        super().__init__(graph, config)
        self.n_layers, self.noise = config.n_layers, config.noise

    def forward(self) -> Tensor:
        adjacency = self.graph.adjacency
        return mean_of_layers(adjacency, adjacency(self.start()), self.n_layers - 1)

    def noisy_layers(self) -> list[Tensor]:
        """X¹ to X^L of one view, (V, D) each: noise has the signs of what it is added to."""
        layers, x = [], self.start()
        for _ in range(self.n_layers):
            x = self.graph.adjacency(x)
            noise = nn.functional.normalize(torch.rand_like(x), dim=-1)
            x = x + torch.sign(x.detach()) * (self.noise * noise)
            layers.append(x)
        return layers

    def through_items(self) -> Tensor:
        mean = mean_of_layers(self.graph.adjacency, self.start(), self.n_layers - 1)
        return self.graph.to_users(mean)


def mean_of(layers: list[Tensor]) -> Tensor:
    """The mean of tensors of one shape."""
    return reduce(torch.add, layers) / len(layers)


class ContrastiveRecommender(PairwiseRecommender):
    """Pairs and the contrast of two views."""

    config: ContrastiveConfig
    n_views: ClassVar[int] = 1

    def network(self, graph: Graph, data: Dataset, seed: int) -> NoisyNodes:
        return NoisyNodes(graph, self.config)

    def further(self, plan: MemoryPlan, data: Dataset) -> dict[str, int]:
        # of every noisy layer its noise, its signs and itself, all there until the way back
        noisy = self.n_views * self.config.n_layers * 3 * plan.parts["vectors"]
        return super().further(plan, data) | {"views": noisy}

    def _contrast(self, network: Nodes, one: Tensor, other: Tensor, batch: Batch) -> Tensor:
        """λ times InfoNCE of two views (V, D) over the users and over the items of a batch."""
        users, items = batch.users.unique(), batch.items.unique() + network.graph.n_users
        total = one.new_zeros(())
        for nodes in (users, items):
            target, own = embedding(nodes, other), torch.arange(len(nodes))
            total = total + shared_softmax(
                embedding(nodes, one),
                target,
                target,
                own,
                temperature=self.config.contrast_temperature,
                shift=0.0,
            )
        return self.config.contrast * total


class SimGCL(ContrastiveRecommender):
    """score(i) = z_u · z_i, learnt without noise; two noisy views are contrasted beside it."""

    n_views = 2

    config_type = SimGCLConfig
    config: SimGCLConfig

    def loss(self, network: Nodes, batch: Batch) -> Tensor:
        assert isinstance(network, NoisyNodes)
        one, other = (mean_of(network.noisy_layers()) for _ in range(2))
        pull = self._contrast(network, one, other, batch)
        return self.pair_loss(network, network(), batch) + pull


class XSimGCL(ContrastiveRecommender):
    """score(i) = z_u · z_i; one noisy pass is learnt by and contrasted with one of its layers."""

    config_type = XSimGCLConfig
    config: XSimGCLConfig

    def loss(self, network: Nodes, batch: Batch) -> Tensor:
        assert isinstance(network, NoisyNodes)
        layers = network.noisy_layers()
        mean = mean_of(layers)
        pull = self._contrast(network, mean, layers[self.config.contrast_layer - 1], batch)
        return self.pair_loss(network, mean, batch) + pull
