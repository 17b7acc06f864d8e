"""What is a graph to a model? Nodes of users and items, a vector each, and what becomes of them.

Letters: U users, N items, V = U + N nodes, D width, S width of what is known, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.layers.propagation import Propagation, bipartite, inverse_root, rectangular

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from etalage.models.graph.embedding import EmbeddingConfig


@dataclass(frozen=True)
class Graph:
    """Who took what, as the training log says."""

    seen: csr_array  # (U, N) ones

    @property
    def n_users(self) -> int:
        return int(self.seen.shape[0])

    @property
    def n_items(self) -> int:
        return int(self.seen.shape[1])

    @cached_property
    def adjacency(self) -> Propagation:
        """D^-1/2 A D^-1/2 over users and, after them, items, (V, V)."""
        return bipartite(self.seen)

    @cached_property
    def taken(self) -> Propagation:
        """D_u^-1/2 R D_i^-1/2 from items to users, (U, N)."""
        return rectangular(self.seen)

    @cached_property
    def user_degrees(self) -> NDArray[np.int64]:
        """Items of each user, (U,)."""
        return np.diff(self.seen.indptr).astype(np.int64)

    @cached_property
    def n_taken(self) -> int:
        """Items that anyone took."""
        return int((self.item_degrees > 0).sum())

    @cached_property
    def item_degrees(self) -> NDArray[np.int64]:
        """Users of each item, (N,)."""
        return np.bincount(self.seen.indices, minlength=self.n_items)

    def to_users(self, vectors: Tensor) -> Tensor:
        """What items send their users of vectors (V, D) in a propagation: x_i / sqrt(d_i), (N, D).

        / sqrt(d_u) is the user's to do."""
        return vectors[self.n_users :] * torch.from_numpy(inverse_root(self.item_degrees))[:, None]

    def to_users_in_mean(self, mean: Tensor, n_layers: int) -> Tensor:
        """The same in a mean of layers 0 to L, from the mean (V, D) of layers 0 to L - 1: a user's
        layer l + 1 is what their items were at layer l."""
        return self.to_users(mean) * (n_layers / (n_layers + 1))


class Nodes(nn.Module):
    """A vector a node, and what becomes of it: layer 0 is the end of matrix factorisation.

    Subclasses change `start`, what nodes are before they meet, or `forward` and `through_items`.
    """

    def __init__(self, graph: Graph, config: EmbeddingConfig) -> None:
        super().__init__()
        self.graph = graph
        n_nodes = graph.n_users + graph.n_items
        vectors = torch.randn(n_nodes, config.width) * config.spread
        degrees = np.concatenate([graph.user_degrees, graph.item_degrees])
        alone = torch.from_numpy(degrees == 0)[:, None]
        # no pair teaches a node that has none, so it is nothing, and stays so
        self.vectors = nn.Parameter(vectors.masked_fill_(alone, 0))
        if alone.any():
            self.vectors.register_hook(lambda gradient: gradient.masked_fill(alone, 0))

    def start(self) -> Tensor:
        """X⁰ (V, D), users first."""
        return self.vectors

    def forward(self) -> Tensor:
        """Z (V, D), what is learnt by and scored with."""
        return self.start()

    def through_items(self) -> Tensor:
        """What each item hands its users, (N, D): their vectors are, but for what is their own, the
        sums of it over their items / sqrt(how many). Where nothing is propagated, its own vector.
        """
        return self.start()[self.graph.n_users :]


class KnowingNodes(Nodes):
    """Nodes of which something is known, which may enter their vectors: E + W s."""

    known: Tensor

    def __init__(
        self,
        graph: Graph,
        known: tuple[NDArray[np.float32], NDArray[np.float32]],
        config: EmbeddingConfig,
        *,
        features: bool,
    ) -> None:
        """`known` are vectors of users (U, S) and of items (N, S)."""
        super().__init__(graph, config)
        whole = torch.from_numpy(np.concatenate(known))
        self.register_buffer("known", whole, persistent=False)
        width = whole.shape[1]
        self.reading = nn.Linear(width, config.width, bias=False) if features else None

    def told(self) -> Tensor:
        """E, or E + W s, (V, D)."""
        return self.vectors if self.reading is None else self.vectors + self.reading(self.known)
