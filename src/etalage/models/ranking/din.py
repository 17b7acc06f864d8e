"""A history seen from the candidate: Deep Interest Network (Zhou et al., 2018, arXiv 1706.06978).

Letters: B rows, L history length, D width of a field, C columns in all.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from etalage.layers.mlp import MLP, Logit
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, DeepConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class DINConfig(DeepConfig):
    """Settings of DIN."""

    kind: Literal["din"] = "din"
    attention_hidden: tuple[int, ...] = (36,)
    """Widths of the layers that weigh one item of the history."""


class InterestPool(nn.Module):
    """Σ_l a(q, k_l) k_l with a = mlp([q, k, q - k, q ⊙ k]) (equation 3).

    As in the paper, weights are not made to add up to 1: how much was of interest counts. What is
    no item has a vector of 0 and adds nothing.
    """

    def __init__(self, width: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        inner = MLP(4 * width, hidden, activation=nn.PReLU)
        self.weigh = nn.Sequential(inner, nn.Linear(inner.n_out, 1))

    def forward(self, candidate: Tensor, past: Tensor) -> Tensor:
        """candidate float (B, D), past float (B, L, D) or (1, L, D) -> float (B, D)."""
        keys = past.expand(candidate.shape[0], -1, -1)
        query = candidate[:, None].expand_as(keys)
        weights = self.weigh(torch.cat([query, keys, query - keys, query * keys], 2))  # (B, L, 1)
        return (weights * keys).sum(1)


class DINNetwork(RankingNetwork):
    """Deep layers over the fields; the candidate is the first of them."""

    def __init__(self, columns: Columns, config: DINConfig) -> None:
        super().__init__(columns, config.width)
        self.pool = (
            InterestPool(config.width, config.attention_hidden) if columns.history_length else None
        )
        self.history_length = columns.history_length
        self.per_item = max(4 * config.width, *config.attention_hidden)
        self.deep = MLP(
            self.n_columns,
            config.hidden,
            config.dropout,
            batch_norm=config.batch_norm,
            activation=nn.PReLU,
        )
        self.out = Logit(self.deep.n_out)

    @property
    def widest(self) -> int:
        return max(super().widest, self.history_length * self.per_item)

    def read(self, x: Looked) -> Tensor:
        columns = x.columns
        if self.pool is not None:
            interest = self.pool(x.fields[:, 0], x.past)
            # the history is the last field; its mean gives way
            columns = torch.cat([x.fields[:, :-1].flatten(1), interest, x.numbers], 1)
        logits: Tensor = self.out(self.deep(columns))
        return logits


class DIN(NetworkRanker):
    """logit = w · mlp([fields, interest in the candidate, numbers]) + b."""

    config_type = DINConfig
    network_type = DINNetwork
