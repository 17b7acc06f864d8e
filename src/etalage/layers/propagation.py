"""What do the neighbours say? Fixed sparse matrices, times a vector a node.

All matrices of a graph here are diag(a) B diag(b) with B of zeros and ones, so no value of an entry
is kept. They learn nothing: the gradient of S x is Sᵀ times that of the product, and where S is its
own transpose it is the same product again. The autograd of torch transposes S at every step.

Letters: U users, N items, V = U + N nodes, P rows and Q columns of a matrix, D width, L layers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from etalage.layers.fused import has_kernels
from etalage.layers.threads import Part, in_team

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PARTS = 8
"""Parts of a product that a thread takes, one after another: rows are of very unlike lengths."""


@dataclass(frozen=True)
class Rows:
    """diag(left) B diag(right): which columns each row holds, and what they are scaled by."""

    starts: NDArray[np.int64]  # (P + 1,)
    columns: NDArray[np.uint32]  # (M,)
    left: NDArray[np.float32]  # (P,)
    right: NDArray[np.float32]  # (Q,)

    @classmethod
    def normalised(
        cls, starts: NDArray[np.integer], columns: NDArray[np.integer], degrees: NDArray[np.integer]
    ) -> Rows:
        """Entries 1 / sqrt(d_p d_q), from the columns of each row and the degrees (Q,) of those."""
        return cls(
            starts.astype(np.int64),
            columns.astype(np.uint32),
            inverse_root(np.diff(starts)),
            inverse_root(degrees),
        )

    def times(self, x: Tensor, added: Tensor | None = None, factor: float = 1.0) -> Tensor:
        """factor (S x + added), (P, D), without a gradient."""
        if x.dtype == torch.float32 and x.device.type == "cpu" and has_kernels():
            from etalage.layers.propagation_kernels import gather

            x = x.contiguous()
            out = x.new_empty(len(self.left), x.shape[1])
            plus = x.new_empty(0, x.shape[1]) if added is None else added.contiguous()
            arrays = (self.starts, self.columns, self.left, self.right, x.numpy(), plus.numpy())
            work = partial(gather, *arrays, np.float32(factor), out.numpy())
            in_team(lambda part: work(*part), self.parts())
            return out
        product = self.matrix(x) @ x
        return factor * (product if added is None else product + added)

    def parts(self) -> list[Part]:
        """Stretches of rows that hold about as many entries each."""
        n_parts = PARTS * torch.get_num_threads() if torch.get_num_threads() > 1 else 1
        shares = np.linspace(0, self.starts[-1], n_parts + 1)[1:-1]
        cuts = np.searchsorted(self.starts, shares)
        return [part for part in pairwise([0, *cuts.tolist(), len(self.left)]) if part[0] < part[1]]

    def matrix(self, like: Tensor) -> Tensor:
        """The matrix with its values, where and in the number format that another tensor is."""
        row_of_entry = np.repeat(np.arange(len(self.left)), np.diff(self.starts))
        values = self.left[row_of_entry] * self.right[self.columns]
        arrays = (self.starts, self.columns.astype(np.int64), values)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls the format a beta
            parts = [torch.from_numpy(array).to(like.device) for array in arrays]
            shape = (len(self.left), len(self.right))
            return torch.sparse_csr_tensor(parts[0], parts[1], parts[2].to(like.dtype), shape)


class Propagation:
    """x (Q, D) -> S x (P, D) for a fixed S; gradients flow to x alone."""

    def __init__(self, forth: Rows, back: Rows) -> None:
        self.forth, self.back = forth, back  # S and its transpose

    def __call__(self, x: Tensor) -> Tensor:
        product: Tensor = _Product.apply(x, self)
        return product

    @property
    def T(self) -> Propagation:  # as in numpy
        """What multiplies with the transpose."""
        return Propagation(self.back, self.forth)


def bipartite(seen: csr_array) -> Propagation:
    """D^-1/2 A D^-1/2 of A = [[0, R], [Rᵀ, 0]], (V, V), from R (U, N), whose stored entries are 1.

    A user's columns are items, a node's number being U + that of the item, and the other way round.
    """
    n_users = seen.shape[0]
    taken_by = seen.T.tocsr()
    starts = np.concatenate([seen.indptr, seen.indptr[-1] + taken_by.indptr[1:].astype(np.int64)])
    columns = np.concatenate([seen.indices.astype(np.int64) + n_users, taken_by.indices])
    rows = Rows.normalised(starts, columns, np.diff(starts))
    return Propagation(rows, rows)


def rectangular(links: csr_array) -> Propagation:
    """D_p^-1/2 B D_q^-1/2 from B (P, Q), whose stored entries are 1."""
    back = links.T.tocsr()
    sizes, degrees = np.diff(links.indptr), np.diff(back.indptr)
    return Propagation(
        Rows.normalised(links.indptr, links.indices, degrees),
        Rows.normalised(back.indptr, back.indices, sizes),
    )


def mean_of_layers(adjacency: Propagation, x: Tensor, n_layers: int) -> Tensor:
    """(x + S x + ... + S^L x) / (L + 1), (V, D), for an S that is its own transpose.

    By Horner's rule, x + S (x + S (x + ...)), no layer is kept; and the way back is the same.
    """
    if n_layers == 0:
        return x
    mean: Tensor = _MeanOfLayers.apply(x, adjacency.forth, n_layers)
    return mean


def inverse_root(degrees: NDArray[np.integer]) -> NDArray[np.float32]:
    """1 / sqrt(d), and 0 for a node without links."""
    return np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0).astype(np.float32)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sparse: Propagation) -> Tensor:
        ctx.back = sparse.back
        return sparse.forth.times(x.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.back.times(grad), None


class _MeanOfLayers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Rows, n_layers: int) -> Tensor:
        ctx.rows, ctx.n_layers = rows, n_layers
        return _mean(rows, x.detach(), n_layers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _mean(ctx.rows, grad, ctx.n_layers), None, None


def _mean(rows: Rows, x: Tensor, n_layers: int) -> Tensor:
    total = x
    for layer in range(n_layers):
        is_last = layer == n_layers - 1
        total = rows.times(total, added=x, factor=1 / (n_layers + 1) if is_last else 1.0)
    return total
