"""Crosses that let in only what helps: GDCN (Wang et al., 2023, arXiv 2311.04635).

Letters: B rows, C columns in all: vectors of the fields and numbers.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from etalage.layers.cross import GatedCross
from etalage.layers.mlp import Logit
from etalage.models.ranking.dcn import CrossConfig, DCNNetwork
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns
from etalage.models.ranking.network_ranker import NetworkRanker


class GDCNConfig(CrossConfig):
    """Settings of GDCN."""

    kind: Literal["gdcn"] = "gdcn"
    form: Literal["parallel", "stacked"] = "parallel"
    """GDCN-P, crosses beside the deep layers, or GDCN-S, deep layers over the crosses."""


class GDCNNetwork(DCNNetwork):
    """Gated crosses beside or below a deep network."""

    cross_type = GatedCross

    def __init__(self, columns: Columns, config: GDCNConfig) -> None:
        super().__init__(columns, config)
        self.is_stacked = config.form == "stacked"
        if self.is_stacked:
            self.out = Logit(self.deep.n_out)

    def read(self, x: Looked) -> Tensor:
        if not self.is_stacked:
            return super().read(x)
        logits: Tensor = self.out(self.deep(self.cross(x.columns)))
        return logits


class GDCN(NetworkRanker):
    """logit = w · [cross(x), mlp(x)] + b, or w · mlp(cross(x)) + b."""

    config_type = GDCNConfig
    network_type = GDCNNetwork
