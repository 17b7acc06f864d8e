"""No training at all: the log as a graph signal, filtered. GF-CF (Shen et al., CIKM 2021,
arXiv 2108.07567).

Letters: U users, N items, B people, K factors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.layers.propagation import inverse_root
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.recommender import Recommender
from etalage.recipe.config import ModelConfig
from etalage.seeds import generator
from etalage.train.context import FitReport, TrainContext

SMALLEST = 1e-5
"""Share of the largest singular value from which on a direction is more than rounding."""


class GFCFConfig(ModelConfig):
    """Settings of GF-CF."""

    kind: Literal["gf_cf"] = "gf_cf"
    n_factors: int = Field(256, ge=1)
    """Singular vectors that the ideal low-pass filter lets through."""
    ideal: float = Field(0.3, ge=0)
    """Weight of the ideal low-pass filter beside the linear one; 0 leaves it out, and its cost."""
    max_length: int = Field(1000, ge=1)
    """Newest history items that are read."""


class GFCF(Recommender):
    """score = h (RnᵀRn + α D^-1/2 V Vᵀ D^1/2), with Rn = D_u^-1/2 R D^-1/2 and V (N, K) its first
    right singular vectors, D the degrees of items."""

    config_type = GFCFConfig
    config: GFCFConfig

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.history_length = self.config.max_length

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        from scipy.sparse import csr_array, diags_array

        seen = data.interactions.matrix()  # (U, N)
        self.degrees = np.bincount(seen.indices, minlength=data.n_items)  # (N,)
        of_users, of_items = inverse_root(np.diff(seen.indptr)), inverse_root(self.degrees)
        self.rows = csr_array(diags_array(of_users) @ seen @ diags_array(of_items))  # Rn
        self.directions = self._directions(context.seed)
        self.n_items = data.n_items
        return FitReport(n_parameters=self.rows.nnz + self.directions.size)

    def _directions(self, seed: int) -> NDArray[np.float32]:
        """Vᵀ, float32 (K, N); fewer rows where the log has fewer directions."""
        from scipy.sparse.linalg import svds

        n_factors = self.config.n_factors if self.config.ideal and self.rows.nnz else 0
        if not n_factors:
            return np.zeros((0, self.rows.shape[1]), np.float32)
        if n_factors < min(self.rows.shape) // 2:
            rng = generator(seed, "gf_cf")
            _, sizes, directions = svds(self.rows, n_factors, return_singular_vectors="vh", rng=rng)
        else:
            sizes, directions = self._all_directions()
            sizes, directions = sizes[:n_factors], directions[:n_factors]
        kept: NDArray[np.float32] = directions[sizes > SMALLEST * sizes.max()]
        return np.ascontiguousarray(kept)

    def _all_directions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Singular values, largest first, and Vᵀ, by way of the smaller of R Rᵀ and Rᵀ R."""
        rows = self.rows.astype(np.float64)
        is_tall = rows.shape[0] >= rows.shape[1]
        squares, basis = np.linalg.eigh((rows.T @ rows if is_tall else rows @ rows.T).toarray())
        sizes = np.sqrt(np.maximum(squares[::-1], 0))
        basis = basis[:, ::-1].T
        if is_tall:
            return sizes, basis
        return sizes, (basis @ rows) / np.maximum(sizes, SMALLEST * sizes.max())[:, None]

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Scores of all items, float32 (B, N); NaN without an item that anyone took, and for items
        that no one did."""
        self.check_histories(histories)
        known = (histories.items >= 0).astype(np.float32)
        people = histories.to_matrix(known, self.n_items)  # (B, N)
        people.data[:] = 1
        scores = np.asarray((people @ self.rows.T @ self.rows).toarray(), dtype=np.float32)
        if len(self.directions):
            narrow = (people * inverse_root(self.degrees)) @ self.directions.T  # (B, K)
            spread = self.config.ideal * np.sqrt(self.degrees)  # (N,)
            scores += (narrow @ self.directions) * spread.astype(np.float32)
        was_taken = self.degrees > 0
        scores[:, ~was_taken] = np.nan
        scores[people @ was_taken.astype(np.float32) == 0] = np.nan
        return scores

    def save(self, folder: Path) -> None:
        self.check_fitted()
        rows = self.rows
        parts = {name: getattr(rows, name) for name in ("data", "indices", "indptr")}
        save_arrays(folder, self, **parts, degrees=self.degrees, directions=self.directions)

    @classmethod
    def load(cls, folder: Path) -> Self:
        from scipy.sparse import csr_array

        model, arrays = load_arrays(folder, cls)
        model.degrees, model.directions = arrays["degrees"], arrays["directions"]
        model.n_items = len(model.degrees)
        parts = tuple(arrays[name] for name in ("data", "indices", "indptr"))
        model.rows = csr_array(parts, shape=(len(arrays["indptr"]) - 1, model.n_items))
        return model
