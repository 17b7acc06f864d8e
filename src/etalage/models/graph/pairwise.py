"""What is a mistake about a pair worth? Sampled softmax of cosines, or BPR.

Letters: V nodes, U users, N items, B pairs, K negatives, D width.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import embedding, softplus

from etalage.data.dataset import Dataset
from etalage.models.graph.embedding import EmbeddingConfig, EmbeddingRecommender
from etalage.models.graph.nodes import Nodes
from etalage.models.graph.pairs import Batch
from etalage.models.graph.plan import LONG, MemoryPlan
from etalage.train.objectives import shared_softmax


class PairwiseConfig(EmbeddingConfig):
    """Settings of models that learn from pairs."""

    loss: Literal["softmax", "bpr"] = "softmax"
    """Softmax of cosines against drawn items, or BPR (Rendle et al., 2009) against one each."""
    temperature: float = Field(0.1, gt=0)
    """Divides the cosines of the softmax: smaller looks at the hardest negatives more."""
    n_negatives: int = Field(512, ge=1)
    """Items drawn in a step for the softmax; all pairs of the batch share them."""
    l2: float = Field(1e-4, ge=0)
    """Weight of half the squares of the vectors of a pair, at layer 0, beside BPR."""


class PairwiseRecommender(EmbeddingRecommender):
    """Learns that z_u is nearer to an item that the user took than to others."""

    config: PairwiseConfig

    @property
    def is_cosine(self) -> bool:  # type: ignore[override]
        return self.config.loss == "softmax"

    def further(self, plan: MemoryPlan, data: Dataset) -> dict[str, int]:
        # sets of what was seen, laid out to draw from, and a draw for every pair
        return {} if self.n_negatives() else {"negatives": 9 * LONG * len(data.interactions)}

    def n_negatives(self) -> int | None:
        return self.config.n_negatives if self.config.loss == "softmax" else None

    def loss(self, network: Nodes, batch: Batch) -> Tensor:
        return self.pair_loss(network, network(), batch)

    def pair_loss(self, network: Nodes, vectors: Tensor, batch: Batch) -> Tensor:
        """Mean loss of a batch by the vectors Z (V, D) of a network."""
        n_users = network.graph.n_users
        users = embedding(batch.users, vectors)
        items = embedding(batch.items + n_users, vectors)
        others = embedding(batch.negatives + n_users, vectors)
        if self.config.loss == "softmax":
            n_items, n_drawn = network.graph.n_items, len(batch.negatives)
            place = torch.full((n_items,), -1)
            place[batch.negatives] = torch.arange(n_drawn)
            return shared_softmax(
                users,
                items,
                others,
                place[batch.items],
                temperature=self.config.temperature,
                shift=math.log(max(network.graph.n_taken - 1, 1) / n_drawn),
            )
        margin = (users * (items - others)).sum(1)
        return softplus(-margin).mean() + self.config.l2 * self._squares(network, batch)

    def _squares(self, network: Nodes, batch: Batch) -> Tensor:
        """Half the squares of the layer-0 vectors of a pair and its negative, the mean over B."""
        start, n_users = network.start(), network.graph.n_users
        nodes = torch.cat([batch.users, batch.items + n_users, batch.negatives + n_users])
        return embedding(nodes, start).square().sum() / (2 * max(len(batch.users), 1))
