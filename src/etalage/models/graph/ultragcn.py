"""What infinitely many layers would come to, as a loss: UltraGCN (Mao et al., CIKM 2021, arXiv
2110.15114). Nothing is propagated, neither to learn nor to serve.

Letters: U users, N items, B pairs, K negatives or neighbours, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn.functional import embedding, softplus

from etalage.data.dataset import Dataset
from etalage.models.graph.embedding import EmbeddingConfig, EmbeddingRecommender
from etalage.models.graph.nodes import Graph, Nodes
from etalage.models.graph.pairs import Batch
from etalage.models.graph.plan import FLOAT, MemoryPlan

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROWS_AT_ONCE = 1024
"""Items whose co-occurrences are held at once."""


class UltraGCNConfig(EmbeddingConfig):
    """Settings of UltraGCN; those of its authors differ from log to log."""

    kind: Literal["ultragcn"] = "ultragcn"
    spread: float = Field(1e-2, gt=0)
    """Standard deviation of the vectors before training."""
    n_negatives: int = Field(512, ge=1)
    """Items drawn in a step; all pairs of the batch share them."""
    negative_weight: float = Field(300.0, gt=0)
    """Weight of the mean over negatives beside the positive."""
    weighs_negatives: bool = True
    """Weigh negatives by degrees, as its authors do on Gowalla; on Yelp2018 they weigh all 1."""
    n_neighbours: int = Field(10, ge=0)
    """Items that went together most with an item, which users of the one are drawn to."""
    neighbour_weight: float = Field(5e-4, ge=0)
    """Weight of being drawn to them."""
    l2: float = Field(1e-4, ge=0)
    """Weight of half the squares of all vectors, against the sum over a batch."""


class WeighedNodes(Nodes):
    """Vectors, with the weights of pairs and the neighbours of items that the loss asks for."""

    def __init__(self, graph: Graph, config: UltraGCNConfig) -> None:
        super().__init__(graph, config)
        of_users, of_items = side_weights(graph.user_degrees, graph.item_degrees)
        self.of_users, self.of_items = torch.from_numpy(of_users), torch.from_numpy(of_items)
        near, weights = neighbours(graph.seen, config.n_neighbours)
        self.near, self.near_weights = torch.from_numpy(near), torch.from_numpy(weights)


class UltraGCN(EmbeddingRecommender):
    """score(i) = e_u · e_i; a pair weighs β_ui = sqrt(d_u + 1) / d_u / sqrt(d_i + 1) (eq. 9)."""

    config_type = UltraGCNConfig
    config: UltraGCNConfig

    def network(self, graph: Graph, data: Dataset, seed: int) -> WeighedNodes:
        return WeighedNodes(graph, self.config)

    def further(self, plan: MemoryPlan, data: Dataset) -> dict[str, int]:
        config, batch = self.config, min(self.config.training.batch_size, len(data.interactions))
        # scores of all negatives, weights and the gradients of both; neighbours likewise
        wide = config.n_negatives + config.n_neighbours * config.width
        return {"scores": 4 * batch * wide * FLOAT}

    def n_negatives(self) -> int | None:
        return self.config.n_negatives

    def table_decay(self) -> float:
        return self.config.l2 / self.config.training.batch_size

    def loss(self, network: Nodes, batch: Batch) -> Tensor:
        assert isinstance(network, WeighedNodes)
        settings, n_users = self.config, network.graph.n_users
        vectors = network()
        users = embedding(batch.users, vectors)  # (B, D)
        items = embedding(batch.items + n_users, vectors)
        others = embedding(batch.negatives + n_users, vectors)  # (K, D)
        of_users = network.of_users[batch.users]  # (B,)
        hit = of_users * network.of_items[batch.items] * softplus(-(users * items).sum(1))
        # one that is the target by chance is no negative
        is_other = batch.negatives != batch.items[:, None]  # (B, K)
        miss = softplus(users @ others.T) * is_other
        if settings.weighs_negatives:
            miss = miss * (of_users[:, None] * network.of_items[batch.negatives])
        total = hit + settings.negative_weight * miss.mean(1)
        if settings.n_neighbours and settings.neighbour_weight:
            near = embedding(network.near[batch.items] + n_users, vectors)  # (B, K, D)
            drawn = softplus(-(near * users[:, None]).sum(-1)) * network.near_weights[batch.items]
            total = total + settings.neighbour_weight * drawn.sum(1)
        return total.mean()


def side_weights(
    user_degrees: NDArray[np.int64], item_degrees: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a user, (U,), and an item, (N,), bring to the weight of a pair."""
    of_users = np.sqrt(user_degrees + 1) / np.maximum(user_degrees, 1)
    return of_users.astype(np.float32), (1 / np.sqrt(item_degrees + 1)).astype(np.float32)


def neighbours(seen: csr_array, n_neighbours: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The items that go together most with each item, int64 (N, K), and their weights (N, K): 0
    where there are fewer. Weights are β of G = RᵀR without its diagonal, times G (eq. 12)."""
    n_items = seen.shape[1]
    near = np.zeros((n_items, n_neighbours), np.int64)
    weights = np.zeros((n_items, n_neighbours), np.float32)
    taken_by = seen.T.tocsr()  # (N, U)
    # an item met x others in its users' lists: all they took, but for itself
    met = (taken_by @ np.diff(seen.indptr) - np.diff(taken_by.indptr)).astype(np.int64)
    of_rows, of_columns = side_weights(met, met)
    for start in range(0, n_items if n_neighbours else 0, ROWS_AT_ONCE):
        together = (taken_by[start : start + ROWS_AT_ONCE] @ seen).tocsr()
        for row, item in enumerate(range(start, min(start + ROWS_AT_ONCE, n_items))):
            entries = slice(together.indptr[row], together.indptr[row + 1])
            columns, counts = together.indices[entries], together.data[entries]
            other = columns != item
            columns = columns[other]
            strength = counts[other] * of_rows[item] * of_columns[columns]
            best = np.lexsort((columns, -strength))[:n_neighbours]
            near[item, : len(best)] = columns[best]
            weights[item, : len(best)] = strength[best]
    return near, weights
