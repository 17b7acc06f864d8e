"""The same for everyone: what most people took. The row that no model may fall below."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.recommender import Recommender
from etalage.recipe.config import ModelConfig
from etalage.train.context import FitReport, TrainContext


class PopularityConfig(ModelConfig):
    """Popularity has nothing to tune."""

    kind: Literal["popularity"] = "popularity"


class Popularity(Recommender):
    """score(i) = interactions of item i in the training log."""

    config_type = PopularityConfig
    history_length = 0

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        self.counts = data.interactions.popularity().astype(np.float32)  # (N,)
        self.n_items = data.n_items
        return FitReport(n_parameters=self.n_items)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        self.check_histories(histories)
        return np.tile(self.counts, (len(histories), 1))  # (B, N)

    def save(self, folder: Path) -> None:
        self.check_fitted()
        save_arrays(folder, self, counts=self.counts)

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model.counts = arrays["counts"]
        model.n_items = len(model.counts)
        return model
