"""One matrix, closed form: EASE (Steck, WWW 2019, arXiv 1905.03375).

Letters: U users, N items, B people.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.errors import CapacityError
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.recommender import Recommender
from etalage.recipe.config import ModelConfig
from etalage.train.context import FitReport, TrainContext


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
        from scipy.linalg import lapack

        n_items = data.n_items
        needed = 2 * 8 * n_items**2 / 1e9  # the Gram matrix and its inverse in float64
        if needed > self.config.max_gigabytes:
            raise CapacityError(
                f"EASE on {n_items:,} items needs {needed:.1f} GB, more than max_gigabytes="
                f"{self.config.max_gigabytes}; raise it, filter items, or use item_knn"
            )
        seen = data.interactions.matrix()  # (U, N)
        gram = (seen.T @ seen).toarray().astype(np.float64)  # (N, N)
        gram[np.diag_indices(n_items)] += self.config.l2
        # a Gram matrix is its own transpose and positive: half the work of any other inverse
        factor, _ = lapack.dpotrf(gram.T, lower=True, overwrite_a=True)
        lower, _ = lapack.dpotri(factor, lower=True, overwrite_c=True)
        scaled = (lower / -np.diag(lower)).astype(np.float32)  # column j divided by P_jj
        above = (lower / -np.diag(lower)[:, None]).astype(np.float32)
        self.weights = np.tril(scaled, -1) + np.tril(above, -1).T
        self.n_items = n_items
        return FitReport(n_parameters=n_items * n_items)

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
