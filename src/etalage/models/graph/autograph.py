"""Knowledge as nodes: AutoGraph (Shan et al., KDD 2025, arXiv 2412.18241), in its linear form.

What a language model, or any encoder, says of users and items is quantised, and each code becomes
a node that those who share it are linked to. Messages go along the factors first, then along what
people took:

    H_v = E_v + beta_v C_v (C_v^T E_v + E_q),  v users or items, C_v scaled by 1 / sqrt(L d_q)
    Z = (X^0 + ... + X^L) / (L + 1),  X^0 = [H_u; H_i],  X^{l+1} = D^-1/2 A D^-1/2 X^l

with E_v + W s_v for E_v where features are on, s_v the vectors that were quantised. beta may go to
zero, so that factors without use do no harm; what it came to is in `gates`.
Letters: U users, N items, V = U + N nodes, D width, S width of what is known, Q factors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.layers.propagation import mean_of_layers, rectangular
from etalage.models.graph.attentive import N_HEADS, AttentiveNodes
from etalage.models.graph.knowledge import KnowledgeConfig, factors, known_of
from etalage.models.graph.nodes import Graph, KnowingNodes, Nodes
from etalage.models.graph.pairwise import PairwiseConfig, PairwiseRecommender
from etalage.models.graph.plan import FLOAT, MemoryPlan
from etalage.recipe.config import ModelConfig

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Route = Literal["user_factors", "item_factors", "items_to_users", "users_to_items"]


class AutoGraphConfig(PairwiseConfig):
    """Settings of AutoGraph."""

    kind: Literal["autograph"] = "autograph"
    knowledge: KnowledgeConfig = KnowledgeConfig()
    """What is known of the nodes."""
    features: bool = True
    """Whether what is known enters the vectors themselves, E + W s."""
    paths: tuple[Route, ...] = ("user_factors", "item_factors", "items_to_users", "users_to_items")
    """Along which links messages go; without factors it is LightGCN."""
    gate: Literal["side", "node"] = "side"
    """Whether beta is a number for users and one for items, or one for each node by what it is."""
    n_layers: int = Field(2, ge=0)
    """Propagations along what people took."""
    form: Literal["linear", "attention"] = "linear"
    """Sums with fixed weights, or attention as published, slower: see `attentive.py`."""
    max_neighbours: int | None = Field(None, ge=1)
    """Of the attention: links that a node looks along, drawn once; None is all, 15 as published."""


class Side(nn.Module):
    """Users, or items, and the factors they share."""

    def __init__(self, links: csr_array | None, config: AutoGraphConfig) -> None:
        super().__init__()
        self.links = None if links is None else rectangular(links)
        if links is not None:
            self.factors = nn.Parameter(torch.randn(links.shape[1], config.width) * config.spread)
            if config.gate == "side":
                self.beta = nn.Parameter(torch.tensor(0.5))
            else:
                self.gate = nn.Linear(2 * config.width, 1)

    def forward(self, own: Tensor) -> Tensor:
        """Vectors of the side (V, D) -> with what comes along its factors (V, D)."""
        if self.links is None:
            return own
        shared = self.shared(own)
        return own + self.weights(own, shared) * shared

    def shared(self, own: Tensor) -> Tensor:
        """What comes along the factors, (V, D)."""
        assert self.links is not None
        return self.links(self.links.T(own) + self.factors)

    def weights(self, own: Tensor, shared: Tensor) -> Tensor:
        """beta, a scalar or (V, 1)."""
        if hasattr(self, "beta"):
            return self.beta
        return torch.sigmoid(self.gate(torch.cat([own, shared], 1)))


class FactorNodes(KnowingNodes):
    """Nodes that meet along their factors first, and then along the log."""

    def __init__(
        self,
        graph: Graph,
        known: tuple[NDArray[np.float32], NDArray[np.float32]],
        users: Side,
        items: Side,
        config: AutoGraphConfig,
    ) -> None:
        super().__init__(graph, known, config, features=config.features)
        self.users, self.items = users, items
        self.n_layers, self.paths = config.n_layers, set(config.paths)

    def start(self) -> Tensor:
        users, items = self.told().split([self.graph.n_users, self.graph.n_items])
        return torch.cat([self.users(users), self.items(items)])

    def forward(self) -> Tensor:
        return self._mean(self.start(), self.n_layers)

    def through_items(self) -> Tensor:
        if self.n_layers == 0 or "items_to_users" not in self.paths:
            return super().through_items()
        mean = self._mean(self.start(), self.n_layers - 1)
        return self.graph.to_users_in_mean(mean, self.n_layers)

    @torch.no_grad()
    def counted(self) -> dict[str, float]:
        """Mean of beta over the nodes of a side, by its name; only of sides with factors."""
        own = self.told().split([self.graph.n_users, self.graph.n_items])
        sides = {"users": (self.users, own[0]), "items": (self.items, own[1])}
        return {
            name: float(side.weights(vectors, side.shared(vectors)).mean())
            for name, (side, vectors) in sides.items()
            if side.links is not None
        }

    def _mean(self, start: Tensor, n_layers: int) -> Tensor:
        """Mean of layers 0 to n_layers along the links that are open."""
        if {"items_to_users", "users_to_items"} <= self.paths:
            return mean_of_layers(self.graph.adjacency, start, n_layers)
        total = x = start
        for _ in range(n_layers):
            users, items = x.split([self.graph.n_users, self.graph.n_items])
            to_users, to_items = self.graph.taken(items), self.graph.taken.T(users)
            opened = [
                to if path in self.paths else torch.zeros_like(to)
                for to, path in ((to_users, "items_to_users"), (to_items, "users_to_items"))
            ]
            x = torch.cat(opened)
            total = total + x
        return total / (n_layers + 1)


class AutoGraph(PairwiseRecommender):
    """score(i) = z_u · z_i, or the cosine of the two."""

    config_type = AutoGraphConfig
    config: AutoGraphConfig
    kept = (*PairwiseRecommender.kept, "item_factors")
    item_factors: NDArray[np.int32]  # -1 where nothing is known, or no factor is used

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.gates: dict[str, float] = {}
        """Mean of what factors count for users and items, after a fit; empty in a loaded model."""

    def further(self, plan: MemoryPlan, data: Dataset) -> dict[str, int]:
        config, log = self.config, data.interactions
        n_nodes = log.n_users + data.n_items
        more = super().further(plan, data)
        more["knowledge"] = 2 * n_nodes * config.knowledge.vector_width * FLOAT
        if config.form == "attention":
            n_links = 2 * len(log) + 2 * n_nodes * config.knowledge.n_levels
            # what is said along each link, weighed, and the gradients of both
            more["messages"] = 4 * n_links * N_HEADS * config.width * FLOAT
        return more

    def network(self, graph: Graph, data: Dataset, seed: int) -> Nodes:
        config, known_as = self.config, self.config.knowledge
        known = known_of(data, known_as, seed)
        users, items = (
            factors(vectors, known_as.n_levels, n_codes, seed) if path in config.paths else None
            for vectors, path, n_codes in (
                (known[0], "user_factors", known_as.n_user_codes),
                (known[1], "item_factors", known_as.n_item_codes),
            )
        )
        self.item_factors = np.full((graph.n_items, known_as.n_levels), -1, np.int32)
        if items is not None:
            has = np.diff(items.indptr) > 0
            n_codes = items.shape[1] // known_as.n_levels
            self.item_factors[has] = items.indices.reshape(-1, known_as.n_levels) % n_codes
        if config.form == "attention":
            return AttentiveNodes(graph, known, (users, items), config, seed)
        return FactorNodes(graph, known, Side(users, config), Side(items, config), config)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        super().restore(arrays)
        self.item_factors = arrays["item_factors"]

    def settle(self, network: Nodes) -> None:
        super().settle(network)
        self.gates = network.counted() if isinstance(network, FactorNodes) else {}
