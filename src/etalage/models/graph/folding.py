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
PULL = 3.0
"""λ, in users an item: best of 1, 3, 10 and 30 for people who were not in the regression, flat."""
STEPS = 20
TINY = np.float32(1e-12)


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


def fitted_table(
    seen: csr_array, handed: NDArray[np.float32], users: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What each item of a history adds, W (N, D), so that users of the log are near their vectors:

        Σ_u ‖ Σ_{i of u} W_i / sqrt(d_u) - z_u ‖² + λ ‖ W - W⁰ ‖²

    is least. W⁰ is what items hand their users as the model has it, times the map (D, D) that
    brings users nearest to their vectors: the map alone loses a twentieth of NDCG, and without W⁰
    those who were not in the log lose as much.

    Args:
        seen: ones, (U, N).
        handed: what items hand their users, (N, D).
        users: z, the vectors that users learnt, (U, D).
    """
    from scipy.sparse import diags_array

    sizes = np.diff(seen.indptr)
    shares = (diags_array(inverse_root(sizes)) @ seen).tocsr()  # (U, N)
    table: NDArray[np.float32] = handed @ fitted_map(shares @ handed, users)
    weight = np.float32(PULL * np.count_nonzero(sizes) / max(len(table), 1))
    # conjugate gradients of every column at once; 20 steps are to four digits
    left = shares.T @ (users - shares @ table)
    way, squares = left.copy(), (left * left).sum(0)
    for _ in range(STEPS):
        turned = shares.T @ (shares @ way) + weight * way
        length = squares / np.maximum((way * turned).sum(0), TINY)
        table += length * way
        left -= length * turned
        before, squares = squares, (left * left).sum(0)
        way = left + squares / np.maximum(before, TINY) * way
    return table


def fitted_map(folded: NDArray[np.float32], users: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map (D, D) that brings one vector a user, (U, D), nearest to another (ridge)."""
    gram = (folded.T @ folded).astype(np.float64)
    ridge = max(RIDGE * float(np.trace(gram)) / len(gram), float(TINY))
    gram[np.diag_indices(len(gram))] += ridge
    return np.linalg.solve(gram, (folded.T @ users).astype(np.float64)).astype(np.float32)
