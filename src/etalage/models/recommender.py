"""What can every recommender do? Fit, score, recommend, save, load: written once, here.

Letters: B people, L history length, N items, k places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories, ItemSets, TopK, check_items
from etalage.data.split import Queries
from etalage.errors import DataError, NotFittedError
from etalage.recipe.config import ModelConfig
from etalage.train.context import Clock, FitReport, TrainContext


class Recommender(ABC):
    """Who gets what: histories in, the k best items out.

    A model reads people only through their histories, so someone who arrived a second ago is
    served like anyone else. Subclasses set `config_type` and implement `_fit`, `score` (or, where
    scoring every item makes no sense, `recommend`), `save` and `load`.
    """

    config_type: ClassVar[type[ModelConfig]]
    scores_all_items: ClassVar[bool] = True
    """False where scoring the catalogue makes no sense, so ranks come from `recommend`."""
    history_length: int = 50
    """Newest history items that can change an answer."""
    item_factors: NDArray[np.int32] | None = None
    """Codes of latent factors of all items, (N, L), of a model that has any."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config = config if config is not None else self.config_type()  # type: ignore[call-arg]
        self.n_items = 0
        self.data_hash = ""
        """Hash of the log that the model was fitted on; empty where no fit ended well."""

    def fit(self, data: Dataset, context: TrainContext | None = None) -> FitReport:
        """Learns from `data.interactions`; fitting again starts afresh.

        The report's seconds are those of the whole fit; where it went on from a checkpoint, those
        of earlier sessions are in them.

        Raises:
            DataError: for a catalogue without items, or a log of another catalogue.
        """
        clock = Clock()
        check_catalogue(data)
        self.data_hash = ""  # what a fit that fails leaves is of no log that one could name
        signed = (context or TrainContext()).signed(
            clock, data.interactions.hash, self.config.to_dict()
        )
        report = self._fit(data, signed)
        self.data_hash = signed.data_hash
        return report.timed(clock)

    @abstractmethod
    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        """What `fit` is for this model; the report need not say how long it took."""

    @abstractmethod
    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Scores of all items, float32 (B, N); NaN where the model cannot say.

        Raises:
            NotFittedError: before `fit`.
            DataError: for an item that the catalogue does not have.
        """

    def score_queries(self, queries: Queries) -> NDArray[np.float32]:
        """Scores of all items for questions of an evaluation, float32 (Q, N).

        Only what may know more than a history, such as the truth behind a simulated log, has
        reason to answer otherwise.
        """
        return self.score(queries.histories(self.history_length))

    def plan(self, data: Dataset) -> str:
        """What a fit on a log will need, in a few words; '' where that is not worth telling."""
        return ""

    def check_servable(self) -> None:  # noqa: B027  # most have nothing to say against it
        """Raises RecipeError where an exportable model cannot be served with its settings."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes `config.json` and npy files; nothing is pickled.

        Raises:
            DataError: when the folder holds something else than a saved model.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote; BundleError when it is not there, or broken."""

    def recommend(
        self,
        histories: Histories,
        k: int,
        *,
        exclude: ItemSets | None = None,
        among: NDArray[np.int32] | None = None,
    ) -> TopK:
        """Returns the k best items of each person, never one of `exclude`, only from `among`.

        Where fewer than k items can be scored, the rest is -1 with score -inf. Equal scores are
        ordered by item index. Unknown items (-1) in what is given stand for nothing.

        Raises:
            NotFittedError: before `fit`.
            DataError: for k below 1, an item that the catalogue does not have, or an `exclude` of
                other people.
        """
        exclude, among = self.checked_question(histories, k, exclude, among)
        scores = self.score(histories)  # (B, N)
        if exclude is not None:
            scores[exclude.row_of_entry, exclude.items] = np.nan
        if among is not None:
            allowed = np.zeros(self.n_items, dtype=bool)
            allowed[among] = True
            scores[:, ~allowed] = np.nan
        return best(scores, k)

    def checked_question(
        self,
        histories: Histories,
        k: int,
        exclude: ItemSets | None,
        among: NDArray[np.int32] | None,
    ) -> tuple[ItemSets | None, NDArray[np.int32] | None]:
        """Returns `exclude` and `among` without unknown items (-1).

        Raises what is wrong with a call of `recommend`, before any work is done.
        """
        self.check_histories(histories)
        check_places(k)
        if exclude is not None:
            if len(exclude) != len(histories):
                raise DataError(f"exclude has {len(exclude)} rows, histories {len(histories)}")
            exclude = exclude.known(self.n_items, "exclude")
        if among is not None:
            check_items(among, self.n_items, "among")
            among = among[among >= 0]
        return exclude, among

    def check_histories(self, histories: Histories) -> None:
        """Raises what is wrong with histories that are to be scored."""
        self.check_fitted()
        check_items(histories.items, self.n_items, "a history")

    def check_fitted(self) -> None:
        """Raises NotFittedError before `fit`."""
        if not self.n_items:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(data) first")


def fit_first(model: Recommender, data: Dataset, context: TrainContext, name: str) -> FitReport:
    """Fits what another model is made of, in a folder of its own, or goes on with it; what it took
    before this session counts for the other as well."""
    folder = None if context.folder is None else context.folder / name
    clock = context.clock or Clock()
    seconds, cpu_seconds = clock.seconds, clock.cpu_seconds
    report = model.fit(data, replace(context, folder=folder))
    # a checkpoint of the whole knows what its first part took
    if context.checkpoint is None or not context.checkpoint.exists():
        seconds, cpu_seconds = clock.seconds - seconds, clock.cpu_seconds - cpu_seconds
        clock.add(max(report.seconds - seconds, 0), max(report.cpu_seconds - cpu_seconds, 0))
    return report


def check_catalogue(data: Dataset) -> None:
    """Raises DataError where there is nothing to recommend, or no one knows what."""
    if not data.n_items:
        raise DataError(f"{data.name} has no items; there is nothing to recommend")
    if data.interactions.n_items != data.n_items:
        raise DataError(
            f"the log of {data.name} is about {data.interactions.n_items:,} items, its vocabulary "
            f"has {data.n_items:,}; give both the same catalogue"
        )


def check_places(k: int) -> None:
    """Raises DataError for a list without places."""
    if k < 1:
        raise DataError(f"k must be at least 1; got {k}")


def best(scores: NDArray[np.float32], k: int) -> TopK:
    """Picks the k largest of each row, float32 (B, N); NaN is never picked, ties go by index."""
    check_places(k)
    top = TopK.empty(len(scores), k)
    n_items = scores.shape[1]
    # a few rows stay in the cache through all passes, which beats one large partition
    for start in range(0, len(scores), ROWS_IN_CACHE):
        part = scores[start : start + ROWS_IN_CACHE]
        near = part >= _floors(part, k)[:, None]
        row, item = np.divmod(np.flatnonzero(near), n_items)
        values = part[row, item]
        order = np.lexsort((-values, row))  # stable: equals stay in the order of the items
        row, item, values = row[order], item[order], values[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        kept = (place < k) & (values > -np.inf)
        top.items[start + row[kept], place[kept]] = item[kept]
        top.scores[start + row[kept], place[kept]] = values[kept]
    return top


ROWS_IN_CACHE = 16


def _floors(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """A value for each of a few rows that its k largest entries reach and few others do, (B,)."""
    n_items = scores.shape[1]
    n_blocks = max(512, 4 * k)
    depth = n_items // n_blocks
    if depth >= 2:
        blocks = scores[:, : depth * n_blocks].reshape(-1, depth, n_blocks)
        # k blocks hold k entries no smaller than the k-th largest of the blocks' maxima
        maxima = np.fmax.reduce(blocks, axis=1)
    else:
        maxima = scores.copy()
    maxima[np.isnan(maxima)] = -np.inf
    last = max(maxima.shape[1] - k, 0)
    maxima.partition(last, axis=1)
    return maxima[:, last]
