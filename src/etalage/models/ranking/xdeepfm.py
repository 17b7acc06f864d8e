"""Products of whole vectors, picked layer by layer: xDeepFM (Lian et al., 2018, arXiv 1803.05170).

Letters: B rows, N fields, D width of a field.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from etalage.layers.cin import CIN
from etalage.layers.mlp import Logit
from etalage.models.ranking.deep import WideDeepNetwork
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, DeepConfig
from etalage.models.ranking.network_ranker import NetworkRanker


class XDeepFMConfig(DeepConfig):
    """Settings of xDeepFM."""

    kind: Literal["xdeepfm"] = "xdeepfm"
    cin: tuple[int, ...] = Field((64,), min_length=1)
    """Vectors in each layer of products; n layers give products of n + 1 fields."""


class XDeepFMNetwork(WideDeepNetwork):
    """Weights that add up, a compressed interaction network and a deep one."""

    def __init__(self, columns: Columns, config: XDeepFMConfig) -> None:
        super().__init__(columns, config)
        self.cin = CIN(self.n_fields, config.cin)
        self.cin_out = Logit(self.cin.n_out, bias=False)
        self.reads_rounded = False  # the products read the fields, too

    @property
    def widest(self) -> int:
        return max(super().widest, self.width * self.cin.n_products)

    def read(self, x: Looked) -> Tensor:
        products: Tensor = self.cin_out(self.cin(x.fields))
        return super().read(x) + products


class XDeepFM(NetworkRanker):
    """logit = Σ_i w_i + u · cin(v) + w · mlp(x) + b (equation 9)."""

    config_type = XDeepFMConfig
    network_type = XDeepFMNetwork
