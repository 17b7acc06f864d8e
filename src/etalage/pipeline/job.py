"""What is asked, and what has been found so far? A run under way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from etalage.bench.record import ModelRow
from etalage.data.split import Queries
from etalage.errors import BundleError
from etalage.evaluate.ranking import RankingReport, evaluate_recommender
from etalage.models.recommender import Recommender
from etalage.pipeline.shop import Shop
from etalage.recipe.recipe import TRIVIAL, Recipe
from etalage.train.context import FitReport, TrainContext
from etalage.train.team import Team

N_JUDGED = 2000
"""Validation questions that decide when to stop; enough for two digits."""
KS = (5, 10, 20)


@dataclass
class Job:
    """A recipe at work in a folder."""

    recipe: Recipe
    folder: Path
    progress: bool
    rows: list[ModelRow] = field(default_factory=list)
    reports: dict[str, RankingReport] = field(default_factory=dict)
    curves: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    @property
    def hides_seen(self) -> bool:
        """Whether what a person took before may not be shown to them again."""
        return self.recipe.repeats == "hide"

    def context(self, name: str, monitor: Any) -> TrainContext:
        """Surroundings of one fit; its checkpoints lie in the run's folder."""
        folder = self.folder / "checkpoints" / name
        return TrainContext(
            seed=self.recipe.seed, folder=folder, monitor=monitor, progress=self.progress
        )

    def row(self, name: str, kind: str, fit: FitReport) -> ModelRow:
        """The line of a fitted model, with its cost and without its quality."""
        self.curves |= {name: list(fit.history)} if fit.history else {}
        return ModelRow(
            name=name,
            kind=kind,
            role="baseline" if kind in TRIVIAL else "model",
            train_seconds=fit.seconds,
            train_cpu_seconds=fit.cpu_seconds,
            n_parameters=fit.n_parameters or None,
            seeds=[self.recipe.seed],
        )

    def fit(self, name: str, model: Recommender, shop: Shop) -> str:
        """Fits one model, judged by validation questions; returns what to say of it."""

        def monitor(judged: Recommender) -> dict[str, float]:
            return self.validated(judged, shop)

        data, context = shop.training_data, self.context(name, monitor)
        fit, note = resumed(lambda: model.fit(data, context), context)
        self.rows.append(self.row(name, model.config.kind, fit))
        if not fit.epochs:
            return "one pass"
        best = fit.metrics.get("ndcg@10")
        said = "" if best is None else f", validation NDCG@10 {best:.4f}"
        return f"{fit.epochs} epochs, best {fit.best_epoch}{said}{note}"

    def validated(self, model: Recommender, shop: Shop) -> dict[str, float]:
        """Metrics on some validation questions, by which things are chosen."""
        questions = some(shop.split.valid)
        return evaluate_recommender(
            model, questions, ks=(10,), exclude_seen=self.hides_seen
        ).metrics

    def tested(self, model: Recommender, shop: Shop) -> RankingReport:
        """Metrics on all test questions."""
        return evaluate_recommender(
            model,
            shop.split.test,
            ks=KS,
            exclude_seen=self.hides_seen,
            training_popularity=shop.split.train.popularity(),
            progress=self.progress,
        )


def resumed(fit: Callable[[], FitReport], context: TrainContext) -> tuple[FitReport, str]:
    """Fits from the checkpoint of `context`, or afresh where it is of something else.

    That is another log, recipe or library, or ids that another machine spelled differently.
    Returns the report and what to say of it.
    """
    try:
        return fit(), ""
    except BundleError:
        assert context.folder is not None
        team = Team()
        if team.is_first:
            shutil.rmtree(context.folder)
        team.wait()
        return fit(), "; afresh, since an older checkpoint was of something else"


def some(queries: Queries) -> Queries:
    """At most `N_JUDGED` questions, spread evenly."""
    rows = np.linspace(0, len(queries) - 1, min(N_JUDGED, len(queries))).astype(np.int64)
    return queries.take(rows)
