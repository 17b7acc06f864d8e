"""How likely is this click? What every ranker can do.

Letters: B rows (impressions).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from etalage.data.features import FeatureTable
from etalage.errors import DataError
from etalage.recipe.config import ModelConfig
from etalage.train.context import Clock, FitReport, TrainContext


class Ranker(ABC):
    """Scores rows of a feature table. Scores are raw logits, never probabilities.

    Subclasses set `config_type` and implement `_fit`, `score`, `save` and `load`.
    """

    config_type: ClassVar[type[ModelConfig]]

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config = config if config is not None else self.config_type()  # type: ignore[call-arg]
        self.data_hash = ""
        """Hash of the table that the ranker was fitted on; empty where none ended well."""

    def fit(self, table: FeatureTable, context: TrainContext | None = None) -> FitReport:
        """Learns from a labelled table; fitting again starts afresh.

        The report's seconds are those of the whole fit; where it went on from a checkpoint, those
        of earlier sessions are in them.

        Raises:
            DataError: for a table without clicks, or without both clicks and misses.
        """
        clock = Clock()
        check_labels(table)
        self.data_hash = ""  # what a fit that fails leaves is of no table that one could name
        signed = (context or TrainContext()).signed(clock, table.hash, self.config.to_dict())
        report = self._fit(table, signed)
        self.data_hash = signed.data_hash
        return report.timed(clock)

    @abstractmethod
    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        """What `fit` is for this ranker; the report need not say how long it took."""

    @abstractmethod
    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Logits, float32 (B,).

        Raises:
            NotFittedError: before `fit`.
            DataError: for a table of other columns.
        """

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


def check_labels(table: FeatureTable) -> None:
    """Raises DataError where there is nothing to learn to tell apart."""
    found = np.unique(table.labels)
    if found.tolist() != [0, 1]:
        raise DataError(
            f"clicks must hold both 0 and 1 and nothing else; found {found[:5].tolist()} in "
            f"{len(table):,} rows"
        )
