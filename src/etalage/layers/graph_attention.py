"""Which neighbours count? Graph attention (Velickovic et al., 2018, 1710.10903).

Letters: P nodes that look, Q nodes that are looked at, M links, H heads, F width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Links:
    """Who looks at whom; those of one node stand together."""

    rows: Tensor  # int64 (M,) who looks
    columns: Tensor  # int64 (M,) who is looked at
    n_rows: int

    @classmethod
    def of(cls, matrix: csr_array) -> Links:
        """Links of the stored entries of a matrix (P, Q)."""
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        return cls(
            torch.from_numpy(rows),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            int(matrix.shape[0]),
        )


class GraphAttention(nn.Module):
    """out_v = W_self x_v + sum_j alpha_jv W x_j + b for each head, heads side by side.

    alpha = softmax over the neighbours j of v of leaky_relu(a_l · W x_j + a_r · x_v), slope 0.2.
    The released code of AutoGraph has no W_self, by which a node loses what it is itself.
    """

    def __init__(self, looked_at: int, looking: int, n_heads: int, head_width: int) -> None:
        """Widths of the nodes that are looked at, and of those that look."""
        super().__init__()
        self.n_heads = n_heads
        self.say = nn.Linear(looked_at, n_heads * head_width, bias=False)
        self.keep = nn.Linear(looking, n_heads * head_width)
        self.left = nn.Linear(looked_at, n_heads, bias=False)  # a_l · W, one matrix
        self.right = nn.Linear(looking, n_heads, bias=False)

    def forward(self, others: Tensor, own: Tensor, links: Links | None) -> Tensor:
        """others (Q, ·) and own (P, ·) -> (P, H F); without links only what a node keeps."""
        kept: Tensor = self.keep(own)
        if links is None or not len(links.rows):
            return kept
        rows, columns = links.rows, links.columns
        # looked up by `embedding`, whose way back adds in one order; that of an index does not
        likeness = embedding(columns, self.left(others)) + embedding(
            rows, self.right(own)
        )  # (M, H)
        likeness = nn.functional.leaky_relu(likeness, 0.2)
        index = rows[:, None].expand_as(likeness)
        highest = likeness.new_full((links.n_rows, self.n_heads), -torch.inf)
        highest = highest.scatter_reduce(0, index, likeness.detach(), "amax")
        powers = (likeness - highest.detach()[rows]).exp()
        sums = powers.new_zeros(links.n_rows, self.n_heads).index_add(0, rows, powers)
        weights = powers / embedding(rows, sums)  # (M, H)
        said = embedding(columns, self.say(others)).unflatten(1, (self.n_heads, -1))  # (M, H, F)
        heard = (weights[..., None] * said).flatten(1)
        return kept.index_add(0, rows, heard)
