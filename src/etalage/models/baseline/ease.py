"""One matrix, closed form: EASE (Steck, WWW 2019, arXiv 1905.03375).

Letters: U users, N items, B people.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.errors import CapacityError, DataError
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.recommender import Recommender
from etalage.recipe.config import ModelConfig
from etalage.train.context import FitReport, TrainContext

if TYPE_CHECKING:
    from scipy.sparse import csr_array


ROWS_AT_ONCE = 64
"""Rows of XᵀX counted at once, so that no sparse copy of the whole of it is ever held."""
BYTES_OF_A_PAIR = 8 + 4
"""At the peak: the inverse in float64, made in the place of the Gram matrix, and the weights."""


class EASEConfig(ModelConfig):
    """Settings of EASE."""

    kind: Literal["ease"] = "ease"
    l2: float = Field(200.0, gt=0)
    """Ridge λ: larger shrinks rare items more; 100 to 1000 is usual."""
    max_gigabytes: float = Field(8.0, gt=0)
    """Refuse a catalogue whose N x N inverse would need more memory than this."""


class EASE(Recommender):
    """Item weights B = I - P / diag(P) with P = (XᵀX + λI)⁻¹ (Steck, eq. 8); score = X B."""

    config_type = EASEConfig
    config: EASEConfig
    history_length = 200

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        n_items = data.n_items
        needed = BYTES_OF_A_PAIR * n_items**2 / 1e9
        if needed > self.config.max_gigabytes:
            raise CapacityError(
                f"EASE on {n_items:,} items needs {needed:.1f} GB, more than max_gigabytes="
                f"{self.config.max_gigabytes}; raise it, filter items, or use item_knn"
            )
        lower = self._inverse(data.interactions.matrix())  # P on and below the diagonal, (N, N)
        diagonal = lower.diagonal().copy()
        weights = np.zeros((n_items, n_items), np.float32)
        for i in range(n_items):
            below = -lower[i + 1 :, i]
            weights[i + 1 :, i] = below / diagonal[i]
            weights[i, i + 1 :] = below / diagonal[i + 1 :]  # P is its own transpose
        self.weights = weights
        self.n_items = n_items
        return FitReport(n_parameters=n_items * n_items)

    def _inverse(self, seen: csr_array) -> NDArray[np.float64]:
        """The lower triangle of P, float64 (N, N) in Fortran order, from seen items (U, N)."""
        from scipy.linalg import lapack

        n_items = seen.shape[1]
        gram = np.empty((n_items, n_items))
        seen_by = seen.T.tocsr()  # (N, U)
        for start in range(0, n_items, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            gram[rows] = (seen_by[rows] @ seen).toarray()
        gram[np.diag_indices(n_items)] += self.config.l2
        # a Gram matrix is its own transpose and positive: half the work of any other inverse, and
        # in Fortran order, as which its transpose can pass, it is overwritten and not copied
        lower, failed = lapack.dpotrf(gram.T, lower=True, overwrite_a=True)
        if not failed:
            lower, failed = lapack.dpotri(lower, lower=True, overwrite_c=True)
        if failed:
            raise DataError(
                f"EASE cannot tell item {failed - 1} from those before it at l2={self.config.l2}; "
                "raise l2"
            )
        inverse: NDArray[np.float64] = lower
        return inverse

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Scores of all items, float32 (B, N); NaN without a history (never a made-up 0)."""
        self.check_histories(histories)
        known = (histories.items >= 0).astype(np.float32)
        people = histories.to_matrix(known, self.n_items)  # (B, N)
        people.data[:] = 1
        scores = np.asarray(people @ self.weights, dtype=np.float32)
        scores[histories.lengths == 0] = np.nan
        return scores

    def save(self, folder: Path) -> None:
        self.check_fitted()
        save_arrays(folder, self, weights=self.weights)

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model.weights = arrays["weights"]
        model.n_items = len(model.weights)
        return model
