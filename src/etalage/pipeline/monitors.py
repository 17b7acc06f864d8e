"""Which figures may decide when a training stops? A misspelt one is named before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.measures import log_loss
from etalage.data.features import FeatureTable
from etalage.errors import RecipeError, did_you_mean
from etalage.evaluate.classification import auc
from etalage.evaluate.metrics import METRICS
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender

OF_LISTS = tuple(f"{name}@10" for name in (*METRICS, "coverage", "gini"))
"""What a run measures of a half-trained recommender."""
BOTH = "auc-log_loss"
"""Area less log-loss: of two states that order alike, the one whose probabilities hold."""
OF_CLICKS = ("auc", BOTH)
"""What it measures of a half-trained ranker, and what is better where it is higher."""


def click_metrics(ranker: Ranker, table: FeatureTable) -> dict[str, float]:
    """`auc`, `log_loss` and their difference on the rows of a labelled table."""
    logits = ranker.score(table)
    area, loss = auc(logits, table.labels), log_loss(sigmoid(logits), table.labels)
    return {"auc": area, "log_loss": loss, BOTH: area - loss}


def check_monitors(models: Mapping[str, Recommender], ranker: Ranker | None) -> None:
    """Raises RecipeError where a model is to stop by what is not measured."""
    for name, model in models.items():
        _check(f"models.{name}", model.config, OF_LISTS)
    if ranker is not None:
        _check("ranking.ranker", ranker.config, OF_CLICKS)
        for n, member in enumerate(getattr(ranker, "members", ())):
            _check(f"ranking.ranker.members.{n}", member.config, OF_CLICKS)


def _check(where: str, config: Any, measured: Sequence[str]) -> None:
    monitor = getattr(getattr(config, "training", None), "monitor", None)
    if monitor is not None and monitor not in measured:
        raise RecipeError(
            f"{where}.training.monitor: {monitor!r} is not measured"
            f"{did_you_mean(monitor, measured)} (measured: {', '.join(measured)}; null keeps the "
            "last state)"
        )
