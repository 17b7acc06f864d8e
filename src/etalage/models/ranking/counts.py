"""Clicks that were counted: the floor of every table, without a network.

Letters: B rows, F category fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from etalage.data.features import FeatureTable
from etalage.errors import DataError, NotFittedError
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.ranker import Ranker
from etalage.recipe.config import ModelConfig
from etalage.train.context import FitReport, TrainContext


class CountsConfig(ModelConfig):
    """Settings of counted clicks."""

    kind: Literal["counts"] = "counts"
    smoothing: float = Field(20.0, gt=0)
    """Impressions at the overall rate that every code is taken to have had besides its own."""


class Counts(Ranker):
    """logit = logit(p) + Σ_f [logit(p_f) - logit(p)]: naive Bayes over the category fields.

    p is the share of clicks, and p_f = (clicks + s p) / (impressions + s) that of the row's code in
    field f, smoothed. A code that was never seen, or that stands for no value, says nothing.
    Numbers, bags and the history are not read.
    """

    config_type = CountsConfig
    config: CountsConfig
    sizes: NDArray[np.int64] | None = None  # (F,) codes of each field

    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        clicks = table.labels.astype(np.float64)
        self.sizes = np.array([*table.sizes.values()], dtype=np.int64)
        rate, s = clicks.mean(), self.config.smoothing
        self.base = float(_logit(rate))
        evidence = []
        for codes, size in zip(table.categories.T, self.sizes, strict=True):
            shown = np.bincount(codes, minlength=size)
            clicked = np.bincount(codes, clicks, minlength=size)
            said = _logit((clicked + s * rate) / (shown + s)) - self.base
            said[0] = 0
            evidence.append(said)
        self.evidence = np.concatenate([*evidence, []]).astype(np.float32)  # (sum of sizes,)
        return FitReport(n_parameters=len(self.evidence) + 1)

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        sizes = self._fitted()
        if [*table.sizes.values()] != sizes.tolist():
            raise DataError(
                f"the table has the code counts {[*table.sizes.values()]}; this ranker was fitted "
                f"on {sizes.tolist()}"
            )
        logits = np.full(len(table), self.base, dtype=np.float64)
        starts = np.cumsum(sizes) - sizes
        for codes, start in zip(table.categories.T, starts, strict=True):
            logits += self.evidence[codes + start]
        return logits.astype(np.float32)

    def save(self, folder: Path) -> None:
        save_arrays(
            folder, self, sizes=self._fitted(), evidence=self.evidence, base=np.array(self.base)
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model.sizes, model.evidence = arrays["sizes"], arrays["evidence"]
        model.base = float(arrays["base"])
        return model

    def _fitted(self) -> NDArray[np.int64]:
        if self.sizes is None:
            raise NotFittedError("Counts is not fitted; call fit(table) first")
        return self.sizes


def _logit(rate: ArrayLike) -> NDArray[np.float64]:
    rate = np.asarray(rate)
    return np.log(rate) - np.log1p(-rate)
