"""How is a table of vectors read? By ids, with a way back that costs a processor little.

Letters: V rows of a table, D width, N ids.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag


def looked_up(table: Tensor, ids: Tensor) -> Tensor:
    """Rows of a table (V, D) at whole ids of any shape, (..., D). Row 0 gets no gradient."""
    if table.is_cuda or not (torch.is_grad_enabled() and table.requires_grad):
        return embedding(ids, table, padding_idx=0)
    rows: Tensor = _Lookup.apply(table, ids)
    return rows


class _Lookup(torch.autograd.Function):
    """Plain embedding adds up gradients one by one; sorting the ids and summing stretches gives the
    very same sums in half the time or less."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.n_rows = len(table)
        return embedding(ids, table)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (ids,) = ctx.saved_tensors
        sums = summed_by(ids.reshape(-1), grad.reshape(-1, grad.shape[-1]), ctx.n_rows)
        sums[0] = 0
        return sums, None


def summed_by(ids: Tensor, values: Tensor, n_rows: int) -> Tensor:
    """Sums (n_rows, D) of the values (N, D) that share an id, added in the order they stand."""
    # whole numbers of 32 bits are sorted by digits, in a third of the time
    order = ids.to(torch.int32).sort(stable=True).indices
    counts = torch.bincount(ids, minlength=n_rows)
    return embedding_bag(order, values, counts.cumsum(0) - counts, mode="sum")
