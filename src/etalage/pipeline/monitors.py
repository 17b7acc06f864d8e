"""Which figures may decide when a training stops? A misspelt one is named before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etalage.errors import RecipeError, did_you_mean
from etalage.evaluate.metrics import METRICS
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender

OF_LISTS = tuple(f"{name}@10" for name in (*METRICS, "coverage", "gini"))
"""What a run measures of a half-trained recommender."""
OF_CLICKS = ("auc",)
"""What it measures of a half-trained ranker."""


def check_monitors(models: Mapping[str, Recommender], ranker: Ranker | None) -> None:
    """Raises RecipeError where a model is to stop by what is not measured."""
    for name, model in models.items():
        _check(f"models.{name}", model.config, OF_LISTS)
    if ranker is not None:
        _check("ranking.ranker", ranker.config, OF_CLICKS)


def _check(where: str, config: Any, measured: Sequence[str]) -> None:
    monitor = getattr(getattr(config, "training", None), "monitor", None)
    if monitor is not None and monitor not in measured:
        raise RecipeError(
            f"{where}.training.monitor: {monitor!r} is not measured"
            f"{did_you_mean(monitor, measured)} (measured: {', '.join(measured)}; null keeps the "
            "last state)"
        )
