"""Which items are near? The nearest of some by vector, in bounded memory.

Letters: N items, D width, A items asked about, k neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_ASKED = 2000
"""Items whose neighbours are looked up, spread evenly; enough for two digits."""
CELLS = 2**22
"""Distances held at once."""


def nearest_items(
    vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items asked about, int64 (A,), and the k nearest others of each, nearest first, (A, k).

    Fewer than k where there are not as many; equal distances in the order of the items.
    """
    n_items = len(vectors)
    k = min(k, n_items - 1)
    asked = np.unique(np.linspace(0, n_items - 1, min(n_items, MOST_ASKED)).astype(np.int64))
    near = np.empty((len(asked), k), dtype=np.int64)
    norms = np.einsum("nd,nd->n", vectors, vectors)  # (N,)
    at_once = max(CELLS // n_items, 1)
    for start in range(0, len(asked) if k else 0, at_once):
        part = asked[start : start + at_once]
        apart = norms - 2 * (vectors[part] @ vectors.T)  # (part, N), short of the own norm
        apart[np.arange(len(part)), part] = np.inf
        few = np.sort(np.argpartition(apart, k - 1, axis=1)[:, :k], axis=1)
        order = np.take_along_axis(apart, few, 1).argsort(1, kind="stable")
        near[start : start + at_once] = np.take_along_axis(few, order, 1)
    return asked, near
