"""How are tables of vectors read? By ids, with a way back that costs a processor little.

Letters: V rows of a table, D width, N ids or fields, B rows of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag

from etalage.layers.fused import array_of


def looked_up(tables: Sequence[Tensor], ids: Tensor) -> list[Tensor]:
    """Rows of tables (V, D), of one V, at whole ids of any shape, (..., D) each.

    Row 0 gets no gradient.
    """
    first = tables[0]
    if first.is_cuda or not (torch.is_grad_enabled() and first.requires_grad):
        return [embedding(ids, table, padding_idx=0) for table in tables]
    return list(_Lookup.apply(ids, *tables))


def read_at_once(
    tables: Sequence[Tensor], codes: Tensor, starts: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Fields (B, N, D), their first-order weights added up (B, 1), or (B, 0) without any, and what
    all pairs of them agree (B,), in one sweep, where nothing learns.

    Args:
        tables: vectors (V, D), and, where a network has them, weights (V, 1).
        codes: whole (B, N), 0 where unknown.
        starts: row before each field's code 1, (N,).
        dtype: of the fields, float32 or bfloat16.
    """
    from etalage.layers import lookup_kernels

    vectors, *weights = (table.detach().numpy() for table in tables)
    (b, n), d = codes.shape, vectors.shape[1]
    # the kernel reads both without looking
    assert n == len(starts)
    assert all(len(table) == len(vectors) for table in weights)
    fields = torch.empty(b, n * d, dtype=dtype)
    terms, pairs = torch.empty(b, 1), torch.empty(b)
    lookup_kernels.read_at_once(
        codes.numpy(),
        starts.numpy(),
        vectors,
        weights[0][:, 0] if weights else vectors[:0, 0],
        array_of(fields),
        terms[:, 0].numpy(),
        pairs.numpy(),
    )
    return fields.view(b, n, d), terms[:, : len(weights)], pairs


class _Lookup(torch.autograd.Function):
    """Plain embedding adds up gradients one by one; sorting the ids and summing stretches gives the
    very same sums in half the time or less. Tables that are read together share the sorting."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, *tables: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(ids)
        ctx.set_materialize_grads(False)
        ctx.n_rows = len(tables[0])
        return tuple(embedding(ids, table) for table in tables)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        (ids,) = ctx.saved_tensors
        order, starts = _stretches(ids.reshape(-1), ctx.n_rows)
        return None, *(None if grad is None else _summed(grad, order, starts) for grad in grads)


def _stretches(ids: Tensor, n_rows: int) -> tuple[Tensor, Tensor]:
    """Places (N,) of the ids in their order, and where those of each row start in it, (V,)."""
    # whole numbers of 32 bits are sorted by digits, in a third of the time
    order = ids.to(torch.int32).sort(stable=True).indices
    counts = torch.bincount(ids, minlength=n_rows)
    return order, counts.cumsum(0) - counts


def _summed(grad: Tensor, order: Tensor, starts: Tensor) -> Tensor:
    """Sums (V, D) of what (..., D) goes to each row, added in the order it stands."""
    sums = embedding_bag(order, grad.reshape(-1, grad.shape[-1]), starts, mode="sum")
    sums[0] = 0
    return sums
