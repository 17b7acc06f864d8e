"""How is someone read who has no vector? By what their items would have handed them.

Letters: U users, N items, D width, L history length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.layers.propagation import inverse_root

if TYPE_CHECKING:
    from scipy.sparse import csr_array

RIDGE = 1e-3
"""Share of the mean of a Gram matrix's diagonal that is added to it."""


class FoldIn(nn.Module):
    """history int64 (1, L) without padding -> state float (1, D)."""

    def __init__(self, folding: Tensor, *, is_cosine: bool) -> None:
        super().__init__()
        self.register_buffer("folding", folding)
        self.is_cosine = is_cosine

    folding: Tensor  # (N, D)

    def forward(self, history: Tensor) -> Tensor:
        rows = self.folding[history[0]]  # (L, D)
        mean = rows.mean(0, keepdim=True)
        if self.is_cosine:
            return nn.functional.normalize(mean, dim=-1)
        return mean * rows.shape[0] ** 0.5


def fitted_map(
    seen: csr_array, handed: NDArray[np.float32], users: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The map (D, D) that brings what users' items hand them, (N, D), nearest to their vectors.

    Ridge regression over the users of the log (U, N) of their learnt vectors (U, D), closed form.
    """
    folded = (seen @ handed) * inverse_root(np.diff(seen.indptr))[:, None]  # (U, D)
    gram = (folded.T @ folded).astype(np.float64)
    ridge = RIDGE * max(float(np.trace(gram)) / len(gram), 1e-12)
    gram[np.diag_indices(len(gram))] += ridge
    return np.linalg.solve(gram, (folded.T @ users).astype(np.float64)).astype(np.float32)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; 0 stays 0."""
    lengths = np.sqrt((rows * rows).sum(1, keepdims=True))
    return rows / np.maximum(lengths, 1e-12)
