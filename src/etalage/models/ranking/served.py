"""What does a server ask of a network? About one person: many candidates, one history, no padding.

Letters: B candidates, F category fields, M numbers, L history length, W places of bags.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etalage.models.ranking.network import RankingNetwork


class OnePerson(nn.Module):
    """The same answers without masks: what is unknown is a row of zeros in every field.

    Half of the operations fall away, which cost a single request as much as the products do.
    """

    starts: Tensor

    def __init__(self, network: RankingNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("starts", network.starts)
        self.tables = nn.ParameterList(table.detach().clone() for table in network.tables)
        with torch.no_grad():
            for table in self.tables:
                table[network.starts] = 0

    def forward(
        self,
        categories: Tensor,
        numbers: Tensor,
        history: Tensor | None = None,
        bags: Tensor | None = None,
    ) -> Tensor:
        """Logits, float (B,), of categories (B, F), numbers (B, M), codes of known items (1, L), or
        one 0 where there are none, and bags (B, W)."""
        ids, bag_ids = categories + self.starts, self.network.bag_ids(bags)
        looked = self.network.looked(
            [*self.tables], ids, numbers, history, bag_ids, lambda v, _: v.mean(1, keepdim=True)
        )
        return self.network.read(looked)
