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
from etalage.train.context import FitReport, TrainContext


class Ranker(ABC):
    """Scores rows of a feature table. Scores are raw logits, never probabilities."""

    config_type: ClassVar[type[ModelConfig]]

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config = config if config is not None else self.config_type()  # type: ignore[call-arg]

    @abstractmethod
    def fit(self, table: FeatureTable, context: TrainContext | None = None) -> FitReport:
        """Learns from a labelled table; fitting again starts afresh."""

    @abstractmethod
    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Logits, float32 (B,)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes `config.json` and npy files; nothing is pickled."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""


def check_labels(table: FeatureTable) -> None:
    """Raises DataError where there is nothing to learn to tell apart."""
    found = np.unique(table.labels)
    if found.tolist() != [0, 1]:
        raise DataError(
            f"clicks must hold both 0 and 1 and nothing else; found {found[:5].tolist()} in "
            f"{len(table):,} rows"
        )
