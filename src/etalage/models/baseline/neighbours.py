"""What goes with what you just looked at? Item-to-item models: cosine, next-item counts, their sum.

Letters: B people, L history length, N items, K neighbours kept per item.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, diags_array

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.recommender import Recommender
from etalage.recipe.config import ModelConfig
from etalage.train.context import FitReport, TrainContext

if TYPE_CHECKING:
    from collections.abc import Sequence


class NeighbourConfig(ModelConfig):
    """Settings that all item-to-item models share."""

    n_neighbours: int = Field(1000, ge=1)
    """Neighbours kept per item. More costs memory and rarely helps past a few hundred."""
    recency: float = Field(1.0, ge=0)
    """Weight of the r-th newest history item is r ** -recency; 0 treats all alike."""
    length: int = Field(20, ge=1)
    """Newest history items that are looked at."""


class ItemKNNConfig(NeighbourConfig):
    """Settings of item-kNN."""

    kind: Literal["item_knn"] = "item_knn"


class MarkovConfig(NeighbourConfig):
    """Settings of the next-item counts."""

    kind: Literal["markov"] = "markov"


class ItemKNNMarkovConfig(NeighbourConfig):
    """Settings of the sum of both."""

    kind: Literal["item_knn_markov"] = "item_knn_markov"
    markov_weight: float = Field(0.3, ge=0)
    """Weight of the next-item counts beside the cosine."""


def cosine(log: Interactions) -> csr_array:
    """sim(i, j) = |U_i ∩ U_j| / sqrt(|U_i| |U_j|), float32 (N, N), zero diagonal."""
    seen = log.matrix()  # (U, N) binary
    overlap = csr_array(seen.T @ seen)  # (N, N)
    overlap.setdiag(0)
    overlap.eliminate_zeros()
    norm = np.sqrt(np.maximum(seen.sum(0), 1))  # (N,)
    scale = diags_array((1 / norm).astype(np.float32))
    return csr_array(scale @ overlap @ scale)


def transitions(log: Interactions) -> csr_array:
    """P(j | i) = how often j came right after i, over how often anything did; float32 (N, N)."""
    follows = log.users[1:] == log.users[:-1]
    before, after = log.items[:-1][follows], log.items[1:][follows]
    ones = np.ones(len(before), np.float32)
    counts = csr_array((ones, (before, after)), shape=(log.n_items, log.n_items))
    counts.sum_duplicates()
    leaving = np.maximum(counts.sum(1), 1)  # (N,)
    return csr_array(diags_array((1 / leaving).astype(np.float32)) @ counts)


def keep_top(matrix: csr_array, k: int) -> csr_array:
    """Keeps the k largest entries of each row; equal entries go by column."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(len(order)) - matrix.indptr[:-1][rows]  # rank within its row
    kept = order[place < k]
    kept = kept[np.lexsort((matrix.indices[kept], rows[kept]))]
    entries = (matrix.data[kept], (rows[kept], matrix.indices[kept]))
    return csr_array(entries, shape=matrix.shape)


class ItemToItem(Recommender):
    """score(j) = Σ_r r^-recency · M[item at recency r, j]; a subclass says what M is."""

    config: NeighbourConfig

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.history_length = self.config.length

    @abstractmethod
    def relate(self, log: Interactions) -> csr_array:
        """The relation M, float32 (N, N)."""

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        self.relation = keep_top(self.relate(data.interactions), self.config.n_neighbours)
        self.n_items = data.n_items
        return FitReport(n_parameters=self.relation.nnz)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Scores of all items, float32 (B, N); NaN where no history item knows the item."""
        self.check_histories(histories)
        newest = histories.newest(self.config.length)
        weights = newest.recency_weights(self.config.recency)  # (B, L)
        scores = (newest.to_matrix(weights, self.n_items) @ self.relation).toarray()  # (B, N)
        scores[scores == 0] = np.nan
        return scores.astype(np.float32, copy=False)

    def save(self, folder: Path) -> None:
        self.check_fitted()
        relation = self.relation
        parts = {name: getattr(relation, name) for name in ("data", "indices", "indptr")}
        save_arrays(folder, self, **parts)

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model.n_items = len(arrays["indptr"]) - 1
        parts: Sequence[NDArray[np.generic]] = [arrays[n] for n in ("data", "indices", "indptr")]
        model.relation = csr_array(tuple(parts), shape=(model.n_items, model.n_items))
        return model


class ItemKNN(ItemToItem):
    """Item-to-item neighbours (Sarwar et al., 2001) by cosine of co-occurrence.

    The strongest model per second of training in this library.
    """

    config_type = ItemKNNConfig

    def relate(self, log: Interactions) -> csr_array:
        return cosine(log)


class Markov(ItemToItem):
    """What came right after: first-order transition frequencies."""

    config_type = MarkovConfig

    def relate(self, log: Interactions) -> csr_array:
        return transitions(log)


class ItemKNNMarkov(ItemToItem):
    """Cosine plus next-item counts: the row that every sequence model must beat."""

    config_type = ItemKNNMarkovConfig
    config: ItemKNNMarkovConfig

    def relate(self, log: Interactions) -> csr_array:
        return csr_array(cosine(log) + self.config.markov_weight * transitions(log))
