"""Fields that look at one another: AutoInt (Song et al., 2019, arXiv 1810.11921).

Letters: B rows, N fields, D width of a field, H heads, A width of a field after attention.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import relu

from etalage.layers.mlp import MLP, Logit
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, DeepConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class AutoIntConfig(DeepConfig):
    """Settings of AutoInt; with deep layers it is AutoInt+."""

    kind: Literal["autoint"] = "autoint"
    hidden: tuple[int, ...] = ()
    """Widths of deep layers beside the attention; none is AutoInt, some are AutoInt+."""
    n_layers: int = Field(3, ge=1)
    """Attention layers; n of them give products of up to 2^n fields."""
    attention_width: int = Field(32, ge=1)
    """Numbers in a field's vector after attention, of all heads together."""
    n_heads: int = Field(2, ge=1)
    """Heads; they must part `attention_width` evenly."""
    layer_norm: bool = False
    """Whether vectors are normalised after each attention layer."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.attention_width % self.n_heads:
            raise ValueError(
                f"attention_width={self.attention_width} has no n_heads={self.n_heads} equal parts"
            )
        return self


class FieldAttention(nn.Module):
    """ReLU(LN(Σ_k α_mk W_V e_k + W_R e_m)), α_m = softmax_k <W_Q e_m, W_K e_k> (equations 5 to 8).

    As in the paper, products are not divided by a root, and W_R is there only where widths differ.
    """

    def __init__(self, before: int, after: int, n_heads: int, *, layer_norm: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value = (nn.Linear(before, after, bias=False) for _ in range(3))
        self.residual = nn.Identity() if before == after else nn.Linear(before, after, bias=False)
        self.norm = nn.LayerNorm(after) if layer_norm else nn.Identity()

    def forward(self, fields: Tensor) -> Tensor:
        """fields float (B, N, D) -> float (B, N, A)."""
        parts = (part(fields) for part in (self.query, self.key, self.value))
        query, key, value = (
            part.unflatten(2, (self.n_heads, -1)).transpose(1, 2) for part in parts
        )
        weights = (query @ key.transpose(2, 3)).softmax(3)  # (B, H, N, N)
        seen = (weights @ value).transpose(1, 2).flatten(2)  # (B, N, A)
        return relu(self.norm(seen + self.residual(fields)))


class AutoIntNetwork(RankingNetwork):
    """Attention over fields, and deep layers beside it where there are any."""

    def __init__(self, columns: Columns, config: AutoIntConfig) -> None:
        super().__init__(columns, config.width, number_fields=True)
        widths = (config.width, *[config.attention_width] * config.n_layers)
        self.attention = nn.Sequential(
            *(
                FieldAttention(before, after, config.n_heads, layer_norm=config.layer_norm)
                for before, after in pairwise(widths)
            )
        )
        self.n_heads, self.n_attended = config.n_heads, self.n_fields * config.attention_width
        self.out = Logit(self.n_attended)
        self.deep: nn.Sequential | None = None
        if config.hidden:
            deep = MLP(self.n_columns, config.hidden, config.dropout, batch_norm=config.batch_norm)
            self.deep = nn.Sequential(deep, Logit(deep.n_out, bias=False))

    @property
    def widest(self) -> int:
        return max(super().widest, self.n_fields**2 * self.n_heads, self.n_attended)

    def read(self, x: Looked) -> Tensor:
        logits: Tensor = self.out(self.attention(x.fields).flatten(1))
        if self.deep is not None:
            logits = logits + self.deep(x.flat)
        return logits


class AutoInt(NetworkRanker):
    """logit = w · [e_1, ..., e_N] + b after attention (equation 9), plus u · mlp(x) in AutoInt+."""

    config_type = AutoIntConfig
    network_type = AutoIntNetwork
