"""What does one choice of settings reach? A model fitted on the recipe's data, and judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from etalage.models.registry import build
from etalage.pipeline.clicks import click_log, ranking_features
from etalage.pipeline.job import Job, resumed
from etalage.pipeline.monitors import click_metrics
from etalage.pipeline.shop import open_shop, spell_items
from etalage.pipeline.tuning.space import Space, settings_of
from etalage.recipe.recipe import Recipe
from etalage.train.context import FitReport, TrainContext

Report = Callable[[int, float], None]
"""Takes the epochs done and the best value so far; may raise to end a fit early."""


class Subject:
    """The model of a search with its data, which is read once for all trials."""

    def __init__(self, recipe: Recipe, space: Space) -> None:
        self.space = space
        shop = open_shop(recipe)
        self.data_hash = shop.data.hash
        self.data: Any
        self.judge: Callable[[Any], dict[str, float]]
        if space.role == "ranker":
            features = ranking_features(shop, spell_items(shop, recipe).vectors, recipe.ranking)
            clicks = click_log(shop, features, recipe.ranking, recipe.seed)
            self.data = clicks.train.table(features)
            self.judge = partial(click_metrics, table=clicks.stop.table(features))
        else:
            self.data = shop.training_data
            self.judge = partial(Job(recipe, Path(), progress=False).validated, shop=shop)

    def fit(
        self, recipe: Recipe, folder: Path, threads: int, report: Report
    ) -> tuple[float, FitReport]:
        """Fits with the settings of a recipe, going on from `folder`; returns the metric reached.

        Raises:
            EtalageError: where settings do not go together, or the fit comes to nothing.
        """
        metric = self.space.metric
        model = build(settings_of(recipe, self.space.subject), self.space.role)

        def monitor(judged: Any) -> dict[str, float]:
            metrics = self.judge(judged)
            epochs, best = _before(folder, metric)
            report(epochs + 1, max(best, metrics[metric]))
            return metrics

        context = TrainContext(recipe.seed, folder, monitor, threads=threads)
        fit, _ = resumed(lambda: model.fit(self.data, context), context)
        value = fit.metrics.get(metric)
        return self.judge(model)[metric] if value is None else value, fit


def _before(folder: Path, metric: str) -> tuple[int, float]:
    """Epochs in the log of a fit, or in those of all members of an ensemble, and the best value
    there; the one being judged is not in it."""
    logs = [log.read_text(encoding="utf-8") for log in folder.rglob("log.jsonl")]
    rows = [json.loads(line) for log in logs for line in log.splitlines()]
    return len(rows), max((row.get(metric, float("-inf")) for row in rows), default=float("-inf"))
