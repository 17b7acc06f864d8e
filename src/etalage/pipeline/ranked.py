"""What is shown in the end? A retriever's candidates, in the order of a ranker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.features import FeatureTable
from etalage.data.ragged import Histories, ItemSets, TopK
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender
from etalage.recipe.config import ModelConfig
from etalage.serve.runtime.features import RankingFeatures
from etalage.train.context import FitReport, TrainContext


class RankedConfig(ModelConfig):
    """Settings of the two stages together."""

    kind: Literal["ranked"] = "ranked"
    n_candidates: int = 200
    """Retrieved items that are ranked."""


class Ranked(Recommender):
    """Two fitted stages as one recommender, so that they are judged as they are served.

    Requests of an evaluation carry no context, so it is unknown here; the place asked about is
    the first.
    """

    config_type = RankedConfig
    config: RankedConfig
    scores_all_items = False

    def __init__(
        self,
        retriever: Recommender,
        ranker: Ranker,
        features: RankingFeatures,
        n_candidates: int,
    ) -> None:
        super().__init__(RankedConfig(n_candidates=n_candidates))
        self.retriever, self.ranker, self.features = retriever, ranker, features
        self.n_items = retriever.n_items
        self.history_length = max(retriever.history_length, features.history_length)

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        raise NotImplementedError("fit the two stages, then put them together")

    def score(self, histories: Histories) -> NDArray[np.float32]:
        top = self.recommend(histories, self.config.n_candidates)
        scores = np.full((len(histories), self.n_items), np.nan, dtype=np.float32)
        row, place = np.nonzero(top.items >= 0)
        scores[row, top.items[row, place]] = top.scores[row, place]
        return scores

    def recommend(
        self,
        histories: Histories,
        k: int,
        *,
        exclude: ItemSets | None = None,
        among: NDArray[np.int32] | None = None,
    ) -> TopK:
        """Retrieves, then orders by the ranker's logits, which are the scores."""
        exclude, among = self.checked_question(histories, k, exclude, among)
        n = max(k, self.config.n_candidates)
        found = self.retriever.recommend(histories, n, exclude=exclude, among=among)
        row, place = np.nonzero(found.items >= 0)
        logits = self.ranker.score(self._table(histories, row, found.items[row, place]))
        scores = np.full(found.items.shape, -np.inf, dtype=np.float32)
        scores[row, place] = logits
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return TopK(np.take_along_axis(found.items, order, 1), np.take_along_axis(scores, order, 1))

    def _table(
        self, histories: Histories, row: NDArray[np.int64], items: NDArray[np.int32]
    ) -> FeatureTable:
        features = self.features
        newest = histories.newest(features.history_length).items
        categories, numbers, history = features.table(newest, row, items, features.codes({}))
        return FeatureTable(
            features.sizes, categories, features.numbers, numbers, history=history[row]
        )

    def save(self, folder: Path) -> None:
        raise NotImplementedError("save the two stages, or export a bundle")

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError("load the two stages, then put them together")
