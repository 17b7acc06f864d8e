"""Two deep networks, each with its own view of the features: FinalMLP.

Mao et al., 2023, arXiv 2304.00902.

Letters: B rows, C columns in all: vectors of the fields and numbers, K heads, P, Q widths of the
two networks.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from etalage.errors import DataError
from etalage.layers.mlp import MLP, Logit
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, LayeredConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker

Widths = tuple[int, ...]


class FinalMLPConfig(LayeredConfig):
    """Settings of FinalMLP."""

    kind: Literal["finalmlp"] = "finalmlp"
    streams: tuple[Widths, Widths] = ((128, 64), (128, 64))
    """Widths of the layers of the two networks."""
    n_heads: int = Field(1, ge=1)
    """Parts in which the two networks are multiplied; they must part both last widths evenly."""
    gate_fields: tuple[int | None, int | None] = (None, None)
    """Which field, counted from 0, decides what each network sees; None: the same for all rows."""
    gate_hidden: Widths = (64,)
    """Widths of the layers of a gate that has a field."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for widths in self.streams:
            if not widths or widths[-1] % self.n_heads:
                raise ValueError(
                    f"streams end in {[*widths][-1:]}, which have no n_heads={self.n_heads} "
                    "equal parts"
                )
        return self


class FeatureGate(nn.Module):
    """x ⊙ 2 sigmoid(mlp(v)), v the vector of one field: "feature selection".

    Without a field the paper puts a learned vector in place of v. Its gate is the same for all
    rows, so here the gate is what is learned.
    """

    def __init__(self, field: int | None, width: int, hidden: Widths, n_columns: int) -> None:
        super().__init__()
        self.field = field
        if field is None:
            self.constant = nn.Parameter(torch.zeros(n_columns))
        else:
            inner = MLP(width, hidden)
            self.gate = nn.Sequential(inner, nn.Linear(inner.n_out, n_columns))

    def forward(self, x: Looked) -> Tensor:
        """The columns of x as this network sees them, float (B, C)."""
        gate = self.constant if self.field is None else self.gate(x.fields[:, self.field])
        return x.columns * (2 * gate.sigmoid())


class FinalMLPNetwork(RankingNetwork):
    """Two gated networks, multiplied head by head."""

    def __init__(self, columns: Columns, config: FinalMLPConfig) -> None:
        super().__init__(columns, config.width)
        for field in config.gate_fields:
            if field is not None and not 0 <= field < self.n_fields:
                raise DataError(
                    f"gate_fields names field {field}, but the table has {self.n_fields} fields, "
                    f"0 to {self.n_fields - 1}; choose one of them, or null"
                )
        self.n_heads = config.n_heads
        self.gates = nn.ModuleList(
            FeatureGate(field, config.width, config.gate_hidden, self.n_columns)
            for field in config.gate_fields
        )
        self.streams = nn.ModuleList(
            MLP(self.n_columns, hidden, config.dropout, batch_norm=config.batch_norm)
            for hidden in config.streams
        )
        p, q = (hidden[-1] for hidden in config.streams)
        self.out = Logit(p + q)
        shape = (self.n_heads, p // self.n_heads, q // self.n_heads)
        self.products = nn.Parameter(torch.empty(shape).normal_(std=(2 / sum(shape[1:])) ** 0.5))

    def read(self, x: Looked) -> Tensor:
        one, two = (stream(gate(x)) for stream, gate in zip(self.streams, self.gates, strict=True))
        logits: Tensor = self.out(one, two)
        left, right = (side.unflatten(1, (self.n_heads, -1)) for side in (one, two))
        return logits + torch.einsum("bkp,kpq,bkq->b", left, self.products, right)


class FinalMLP(NetworkRanker):
    """logit = b + w_1 · o_1 + w_2 · o_2 + Σ_k o_1kᵀ W_k o_2k, "multi-head bilinear fusion"."""

    config_type = FinalMLPConfig
    network_type = FinalMLPNetwork
