"""How likely is this click? What every ranker can do.

Letters: B rows (impressions).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from etalage.recipe.config import ModelConfig
from etalage.train.context import FitReport, TrainContext

if TYPE_CHECKING:
    from etalage.data.features import FeatureTable


class Ranker(ABC):
    """Scores rows of a feature table. Scores are raw logits, never probabilities."""

    config_type: ClassVar[type[ModelConfig]]

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config = config if config is not None else self.config_type()  # type: ignore[call-arg]

    @abstractmethod
    def fit(
        self,
        table: FeatureTable,
        context: TrainContext | None = None,
        valid: FeatureTable | None = None,
    ) -> FitReport:
        """Learns from a labelled table; `valid` decides when to stop."""

    @abstractmethod
    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Logits, float32 (B,)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes `config.json` and safetensors; nothing is pickled."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
