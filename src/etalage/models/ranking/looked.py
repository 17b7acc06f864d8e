"""What has a network of a batch once its tables are read?

Letters: B rows, N fields in all, M numbers, L history length, D width of a field, C columns in all.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from etalage.layers.fm import agreement


class Looked(NamedTuple):
    """What a network reads of a batch."""

    fields: Tensor
    """Vectors, (B, N, D): categories, bags, the mean of the history, then, for a network with
    `number_fields`, each number times a vector of its own."""
    numbers: Tensor
    """Numbers that are no fields, (B, M); (B, 0) with `number_fields`."""
    terms: Tensor
    """First-order weights of the same fields, (B, N), or (B, 1) of their sum; (B, 0) without
    `first_order`."""
    past: Tensor
    """Vectors of the history, (B, L, D), 0 where there is none."""
    is_past: Tensor
    """Which places of the history are taken, bool (B, L)."""
    pairs: Tensor | None = None
    """What `agreement` gives, where it was summed as the fields were read."""

    @property
    def flat(self) -> Tensor:
        """The fields side by side, (B, N D)."""
        return self.fields.flatten(1)

    @property
    def agreement(self) -> Tensor:
        """Σ_{i<j} <v_i, v_j> of the fields, float (B,)."""
        return agreement(self.fields) if self.pairs is None else self.pairs

    @property
    def columns(self) -> Tensor:
        """All that there is, side by side: the fields and the numbers that are none, (B, C)."""
        return torch.cat([self.flat, self.numbers], 1) if self.numbers.shape[1] else self.flat


def mean_of_taken(vectors: Tensor, codes: Tensor) -> Tensor:
    """Mean (B, 1, D) of vectors (B, L, D) over the places that are taken, 0 where none is."""
    taken = (codes > 0).sum(1, keepdim=True)[:, :, None]  # (B, 1, 1)
    return vectors.sum(1, keepdim=True) / taken.clamp(min=1)
