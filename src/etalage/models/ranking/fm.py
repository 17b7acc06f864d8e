"""Every pair of fields by the product of its vectors: a factorization machine.

Rendle, 2010, "Factorization Machines".

Letters: B rows, N fields, D width of a field.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from etalage.layers.fm import Additive
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, RankerConfig, RankingNetwork
from etalage.models.ranking.network_ranker import NetworkRanker


class FMConfig(RankerConfig):
    """Settings of a factorization machine."""

    kind: Literal["fm"] = "fm"


class FMNetwork(RankingNetwork):
    """First and second order."""

    def __init__(self, columns: Columns, config: FMConfig) -> None:
        super().__init__(columns, config.width, first_order=True, number_fields=True)
        self.out = Additive()

    def read(self, x: Looked) -> Tensor:
        return self.out(x.terms) + x.agreement


class FM(NetworkRanker):
    """logit = b + Σ_i w_i + Σ_{i<j} <v_i, v_j> (equation 1), in time linear in the fields."""

    config_type = FMConfig
    network_type = FMNetwork
