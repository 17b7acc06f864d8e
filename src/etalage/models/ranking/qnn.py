"""Quadratic neurons instead of a deep network: QNN-alpha (KDD 2025, arXiv 2505.17999).

x_{l+1} = drop(x_l + P x_l ⊙ Σ_r drop(ReLU(BN(W_r x_l + b_r)))), logit = w · x_L + c. Every layer
multiplies what the last one made, so L layers give products of 2^L columns. Trained by the
self-ensemble loss; the first layer up to its dropout is the same in both passes, and is computed
once.

Any of the thirty formats that the paper compares can stand in place of the layer (`neuron`), and
the stack can take the place of the deep network in another model (`union`).

Letters: B rows, F fields, M numbers, D width of a field, d = F D, R rows of the gate.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from etalage.layers.cin import CIN
from etalage.layers.cross import ActivatedCross
from etalage.layers.dropout import Dropout
from etalage.layers.fm import agreement
from etalage.layers.mlp import Logit
from etalage.layers.quadratic import FORMATS, KhatriRaoLayer, QuadraticNeuron
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, RankerConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker

MOMENTUM = 0.1
TWICE = 1 - (1 - MOMENTUM) ** 2
"""Momentum of a batch norm that is updated once where two passes would update it twice."""


class QNNConfig(RankerConfig):
    """Settings of QNN-alpha."""

    kind: Literal["qnn"] = "qnn"
    n_layers: int = Field(2, ge=1)
    """Layers; each doubles the degree of the products."""
    n_rows: int = Field(3, ge=1)
    """Rows of a gate, summed; more rows, more capacity in the same width."""
    n_heads: int = Field(1, ge=1)
    """Heads say which coordinate meets which gate; they must part `width` evenly."""
    neuron: str = "khatri_rao"
    """The layer, or one of the formats T1 to T30 for comparison."""
    batch_norm: bool = True
    """Whether gates are normalised by batch; good on small logs, needless on very large ones."""
    post_activation: bool = False
    """ReLU after a neuron of T1 to T30; the paper finds that it harms."""
    union: Literal["none", "dcn_v2", "deepfm", "xdeepfm"] = "none"
    """The model whose deep network the stack replaces."""
    n_crosses: int = Field(2, ge=1)
    """Cross layers of the union with dcn_v2."""
    cin: tuple[int, ...] = Field((32,), min_length=1)
    """Vectors in each layer of products of the union with xdeepfm."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share dropped in gates and after layers; the self-ensemble loss needs some."""
    objective: Literal["log_loss", "self_ensemble"] = "self_ensemble"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % self.n_heads:
            raise ValueError(f"width={self.width} has no n_heads={self.n_heads} equal parts")
        if self.neuron not in {"khatri_rao", *FORMATS}:
            raise ValueError(f"neuron must be 'khatri_rao' or T1 to T30; got {self.neuron!r}")
        if self.neuron != "khatri_rao" and self.width % 2:
            raise ValueError(f"neuron {self.neuron} needs an even width; got {self.width}")
        return self


class QNNNetwork(RankingNetwork):
    """Layers over the fields; numbers, where there are any, make one more field.

    Of the models it is united with, DCN-V2 stands beside the stack and shares its last layer, with
    crosses activated before the product; the wide part of DeepFM counts half, as in the published
    code; that of xDeepFM counts whole.
    """

    def __init__(self, columns: Columns, config: QNNConfig) -> None:
        super().__init__(columns, config.width, first_order=config.union in {"deepfm", "xdeepfm"})
        n_fields = columns.n_fields + (columns.n_numbers > 0)
        d = n_fields * config.width
        self.union = config.union
        self.numbers = nn.Linear(columns.n_numbers, config.width) if columns.n_numbers else None
        shares = config.objective == "self_ensemble"

        def layer(n: int) -> nn.Module:
            if config.neuron != "khatri_rao":
                parts = [QuadraticNeuron(config.neuron, d), Dropout(config.dropout)]
                return nn.Sequential(*parts[:1], *[nn.ReLU()] * config.post_activation, *parts[1:])
            return KhatriRaoLayer(
                n_fields,
                config.width,
                config.n_rows,
                config.n_heads,
                dropout=config.dropout,
                batch_norm=config.batch_norm,
                momentum=TWICE if shares and n == 0 else MOMENTUM,
            )

        self.layers = nn.ModuleList(layer(n) for n in range(config.n_layers))
        self.out = Logit(2 * d if config.union == "dcn_v2" else d)
        if config.union == "dcn_v2":
            self.cross = ActivatedCross(
                d, config.n_crosses, config.dropout, batch_norm=config.batch_norm
            )
        elif config.union == "xdeepfm":
            cin = CIN(n_fields, config.cin)
            self.products = nn.Sequential(cin, Logit(cin.n_out, bias=False))

    def read(self, x: Looked) -> Tensor:
        start = self._columns(x)
        state = start
        for layer in self.layers:
            state = layer(state)
        return self._logits(start, state) + self._wide(x, start)

    def read_twice(self, x: Looked) -> tuple[Tensor, Tensor]:
        first, *others = self.layers
        if not isinstance(first, KhatriRaoLayer):
            return super().read_twice(x)
        start = self._columns(x)
        wide, logits = self._wide(x, start), []
        for state in first.passes(start, 2):
            for layer in others:
                state = layer(state)
            logits.append(self._logits(start, state) + wide)
        return logits[0], logits[1]

    def _logits(self, start: Tensor, state: Tensor) -> Tensor:
        parts = [state, self.cross(start)] if self.union == "dcn_v2" else [state]
        logits: Tensor = self.out(*parts)
        return logits

    def _wide(self, x: Looked, start: Tensor) -> Tensor:
        """What a union adds to the logit without chance: (B,), or (1,) zero."""
        fields = start.unflatten(1, (-1, self.width))
        if self.union == "deepfm":
            return (x.terms.sum(1) + agreement(fields)) / 2
        if self.union == "xdeepfm":
            return x.terms.sum(1) + self.products(fields)
        return start.new_zeros(1)

    def _columns(self, x: Looked) -> Tensor:
        if self.numbers is None:
            return x.flat
        return torch.cat([x.flat, self.numbers(x.numbers)], 1)  # (B, d)


class QNN(NetworkRanker):
    """QNN-alpha, or a stack of any of the thirty quadratic neurons."""

    config_type = QNNConfig
    network_type = QNNNetwork
