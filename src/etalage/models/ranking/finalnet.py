"""Deep layers that multiply: FinalNet.

Zhu et al., 2023, "FINAL: Factorized Interaction Layer for CTR Prediction" (SIGIR). Each layer
multiplies one half of what a linear map gives by the other, so L layers hold products of 2^L
columns for the price of a plain network.

Letters: B rows, N fields, D width of a field, C columns.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from etalage.layers.dropout import Dropout
from etalage.layers.mlp import Logit
from etalage.layers.norm import BatchNorm
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, LayeredConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class FinalNetConfig(LayeredConfig):
    """Settings of FinalNet."""

    kind: Literal["finalnet"] = "finalnet"
    objective: Literal["log_loss"] = "log_loss"
    """Its blocks teach each other, which is a loss of its own."""
    blocks: tuple[tuple[int, ...], ...] = Field(((128, 64), (64,)), min_length=1, max_length=2)
    """Widths of the layers of each block, all even; one block is FINAL-1B, two are FINAL-2B."""
    batch_norm: bool = True
    """Whether products are normalised by batch; without it their scale drifts."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for widths in self.blocks:
            if not widths or any(width % 2 for width in widths):
                raise ValueError(f"blocks need layers of even width; got {[*widths]}")
        return self


class FieldGate(nn.Module):
    """[e, e ⊙ g] with g_nd = Σ_m W_nm e_md + b_n: what the other fields make of a field.

    To begin with W = 0 and b = 1, so that the two halves are alike.
    """

    def __init__(self, n_fields: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_fields, n_fields))
        self.bias = nn.Parameter(torch.ones(n_fields, 1))

    def forward(self, fields: Tensor) -> Tensor:
        """fields float (B, N, D) -> float (B, 2 N, D)."""
        return torch.cat([fields, fields * (self.weight @ fields + self.bias)], 1)


class FactorizedLayer(nn.Module):
    """drop(ReLU(BN([a, a ⊙ c]))) with [a, c] = W x + b."""

    def __init__(self, before: int, after: int, dropout: float, *, batch_norm: bool) -> None:
        super().__init__()
        self.map = nn.Linear(before, after)
        # after the product, so it is none that can be folded into the map
        self.rest = nn.Sequential(
            BatchNorm(after) if batch_norm else nn.Identity(), nn.ReLU(), Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x float (B, C) -> float (B, C')."""
        one, other = self.map(x).chunk(2, 1)
        out: Tensor = self.rest(torch.cat([one, one * other], 1))
        return out


class FinalNetNetwork(RankingNetwork):
    """A block over the gated fields, and perhaps one over the plain ones."""

    def __init__(self, columns: Columns, config: FinalNetConfig) -> None:
        super().__init__(columns, config.width, number_fields=True)
        self.gate = FieldGate(self.n_fields)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(
                    FactorizedLayer(before, after, config.dropout, batch_norm=config.batch_norm)
                    for before, after in pairwise((share * self.n_columns, *widths))
                )
            )
            for share, widths in zip((2, 1), config.blocks, strict=False)
        )
        self.out = Logit(config.blocks[0][-1])
        self.second_out = (
            Logit(config.blocks[1][-1], bias=False) if len(config.blocks) == 2 else None
        )

    def streams(self, x: Looked) -> tuple[Tensor, ...]:
        """Logits (B,) of each block, which start at one constant."""
        first = self.out(self.blocks[0](self.gate(x.fields).flatten(1)))
        if self.second_out is None:
            return (first,)
        return first, self.second_out(self.blocks[1](x.flat)) + self.out.bias

    def read(self, x: Looked) -> Tensor:
        logits = self.streams(x)
        return logits[0] if len(logits) == 1 else (logits[0] + logits[1]) / 2


class FinalNet(NetworkRanker):
    """logit = the mean of the blocks' logits z_i; of two, each learns from their mean.

    L = BCE(p, y) + BCE(p_1, sg(p)) + BCE(p_2, sg(p)) with p = sigmoid((z_1 + z_2) / 2).
    """

    config_type = FinalNetConfig
    network_type = FinalNetNetwork
    network: FinalNetNetwork

    def _log_loss(self, x: Looked, clicks: Tensor) -> Tensor:
        logits = torch.stack(self.network.streams(x)).float()  # (blocks, B)
        mean = logits.mean(0)
        misses = cross_entropy(mean, clicks)
        if len(logits) == 1:
            return misses
        taught = mean.detach().sigmoid()
        return misses + sum(cross_entropy(z, taught) for z in logits)
