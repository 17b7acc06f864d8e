"""Which few directions say most? Truncated SVD by random subspace iteration.

Halko, Martinsson and Tropp (2011, arXiv 0909.4061): a random subspace, multiplied a few times by
XᵀX, turns towards the leading right singular vectors of X. X itself is never held; the caller says
how to multiply. Letters: N rows, V columns of X, D directions kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

OVERSAMPLING = 8
"""Directions carried along beyond those kept; they make the last ones kept exact enough."""

Matrix = NDArray[np.float32]


def leading_directions(
    gram: Callable[[Matrix], Matrix],
    n_columns: int,
    width: int,
    rng: np.random.Generator,
    n_rounds: int = 3,
) -> Matrix:
    """Returns the leading right singular vectors of X, float32 (V, min(D, V)), strongest first.

    Args:
        gram: multiplies a float32 (V, any) by XᵀX.
        n_columns: V.
        width: D.
        rng: draws the first subspace.
        n_rounds: multiplications; each sharpens the gap between what is kept and what is not.
    """
    start = rng.standard_normal((n_columns, min(width + OVERSAMPLING, n_columns)))
    basis = np.linalg.qr(start.astype(np.float32)).Q
    for _ in range(n_rounds):
        basis = np.linalg.qr(gram(basis)).Q
    small = basis.T @ gram(basis)  # (D + 8, D + 8)
    _, rotation = np.linalg.eigh((small + small.T) / 2)  # weakest first
    return np.ascontiguousarray(basis @ rotation[:, ::-1][:, :width])


def narrowed(vectors: Matrix, width: int, rng: np.random.Generator) -> Matrix:
    """Returns unit rows, float32 (N, min(D, V)), along the D directions that say most of rows."""
    n_columns = vectors.shape[1]
    if n_columns <= width:
        return vectors
    kept = leading_directions(lambda basis: vectors.T @ (vectors @ basis), n_columns, width, rng)
    return unit_rows(vectors @ kept)


def unit_rows(vectors: Matrix) -> Matrix:
    """Returns rows of length 1; rows of zeros stay zero."""
    lengths = np.sqrt((vectors * vectors).sum(1, keepdims=True))
    lengths[lengths == 0] = 1
    return vectors / lengths
