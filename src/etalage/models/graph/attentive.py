"""AutoGraph as published: attention along factors, then along the log, and two towers on top.

    n_q = GAT(v -> q)(e_v, e_q),  h_v = GAT(q -> v)([n_q ; e_q], e_v)     for users and for items
    g_u = drop(relu(W GAT(items -> u)(h_i, h_u))), and g_i the same way from users
    z_u = mlp([e_u ; g_u ; mean of e_i over the user's items]),  z_i = mlp([e_i ; g_i])

which is DSSM with the graph's vector as one more field (Shan et al., KDD 2025, arXiv 2412.18241).
Both towers share their tables, and each node keeps what it is itself (`GraphAttention`).
Letters: U users, N items, V = U + N nodes, D width, Q factors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from etalage.layers.dropout import Dropout
from etalage.layers.graph_attention import GraphAttention, Links
from etalage.layers.mlp import MLP
from etalage.layers.propagation import Propagation, Rows
from etalage.models.graph.nodes import Graph, KnowingNodes
from etalage.seeds import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from etalage.models.graph.autograph import AutoGraphConfig

N_HEADS = 2


class AttentiveSide(nn.Module):
    """Users, or items, and the factors they share."""

    def __init__(self, links: csr_array | None, width: int, spread: float) -> None:
        super().__init__()
        n_factors = 0 if links is None else links.shape[1]
        self.to_nodes = None if links is None else Links.of(links)
        self.to_factors = None if links is None else Links.of(links.T.tocsr())
        self.factors = nn.Parameter(torch.randn(n_factors, width) * spread)
        out = N_HEADS * width
        self.gathering = GraphAttention(width, width, N_HEADS, width)
        self.giving = GraphAttention(out + width, width, N_HEADS, width)

    def forward(self, own: Tensor) -> Tensor:
        """Vectors of a side (V, D) -> h (V, H D)."""
        said = self.gathering(own, self.factors, self.to_factors)
        whole: Tensor = self.giving(torch.cat([said, self.factors], 1), own, self.to_nodes)
        return whole


class AttentiveNodes(KnowingNodes):
    """Nodes that look at their factors, then at each other, then go up a tower each."""

    def __init__(
        self,
        graph: Graph,
        known: tuple[NDArray[np.float32], NDArray[np.float32]],
        links: tuple[csr_array | None, csr_array | None],
        config: AutoGraphConfig,
        seed: int,
    ) -> None:
        super().__init__(graph, known, config, features=config.features)
        width, out = config.width, N_HEADS * config.width
        self.users, self.items = (AttentiveSide(one, width, config.spread) for one in links)
        self.meet_items = GraphAttention(out, out, N_HEADS, width)
        self.meet_users = GraphAttention(out, out, N_HEADS, width)
        self.of_user, self.of_item = (
            nn.Sequential(nn.Linear(out, width), nn.ReLU(), Dropout(0.1)) for _ in range(2)
        )
        seen = fewer(graph.seen, config.max_neighbours, seed)
        seen_by = fewer(graph.seen.T.tocsr(), config.max_neighbours, seed)
        self.taken = Links.of(seen) if "items_to_users" in config.paths else None
        self.taken_by = Links.of(seen_by) if "users_to_items" in config.paths else None
        self.mean_of_items = averages(graph.seen)
        hidden = (width,)
        self.user_tower = nn.Sequential(MLP(3 * width, hidden), nn.Linear(width, width))
        self.item_tower = nn.Sequential(MLP(2 * width, hidden), nn.Linear(width, width))

    def start(self) -> Tensor:
        return self.told()

    def forward(self) -> Tensor:
        users, items = self.start().split([self.graph.n_users, self.graph.n_items])
        h_users, h_items = self.users(users), self.items(items)
        g_users = self.of_user(self.meet_items(h_items, h_users, self.taken))
        g_items = self.of_item(self.meet_users(h_users, h_items, self.taken_by))
        fields = [users, g_users, self.mean_of_items(items)]
        z_users = self.user_tower(torch.cat(fields, 1))
        z_items = self.item_tower(torch.cat([items, g_items], 1))
        return torch.cat([z_users, z_items])

    def through_items(self) -> Tensor:
        return self.forward()[self.graph.n_users :]


def averages(seen: csr_array) -> Propagation:
    """Means over the items of each user, (U, N), and the way back."""
    back = seen.T.tocsr()
    share = (1 / np.maximum(np.diff(seen.indptr), 1)).astype(np.float32)
    ones = np.ones(seen.shape[1], np.float32)
    columns = (seen.indices.astype(np.uint32), back.indices.astype(np.uint32))
    starts = (seen.indptr.astype(np.int64), back.indptr.astype(np.int64))
    return Propagation(
        Rows(starts[0], columns[0], share, ones), Rows(starts[1], columns[1], ones, share)
    )


def fewer(links: csr_array, most: int | None, seed: int) -> csr_array:
    """The links of each node, or `most` of them drawn once."""
    from scipy.sparse import csr_array

    if most is None:
        return links
    sizes = np.diff(links.indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((generator(seed, "neighbours").random(len(rows)), rows))
    place = np.arange(len(rows)) - np.repeat(links.indptr[:-1], sizes)
    kept = np.sort(order[place < most])
    starts = np.concatenate([[0], np.cumsum(np.minimum(sizes, most))])
    return csr_array((links.data[kept], links.indices[kept], starts), shape=links.shape)
