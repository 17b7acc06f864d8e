"""The main job: from a log to a measured, calibrated window that can be served."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from etalage.artefact import whole_file
from etalage.bench.record import ModelRow, RunRecord
from etalage.calibrate import Calibrator, choose
from etalage.errors import RecipeError, did_you_mean
from etalage.evaluate.classification import auc
from etalage.evaluate.latency import latency_ms
from etalage.evaluate.ranking import RankingReport, evaluate_recommender
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender
from etalage.models.registry import build
from etalage.pipeline.clicks import ClickLog, click_log, ranking_features
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.measure import (
    Oracle,
    calibration_record,
    click_quality,
    click_scores,
    list_quality,
    probability_quality,
    request_ms,
)
from etalage.pipeline.monitors import check_monitors
from etalage.pipeline.ranked import Ranked
from etalage.pipeline.shop import Shop, open_shop, spell_items
from etalage.pipeline.stages import Say, Stages
from etalage.pipeline.summary import record_of
from etalage.recipe.recipe import Recipe
from etalage.seeds import generator
from etalage.serve.runtime.engine import Engine
from etalage.train.context import FitReport, TrainContext
from etalage.train.team import Team

BASELINES = {"popularity", "item_knn", "markov", "item_knn_markov"}
N_JUDGED = 2000
"""Validation questions that decide when to stop; enough for two digits."""
KS = (5, 10, 20)


@dataclass
class Job:
    """A run under way: what is asked, and what has been found so far."""

    recipe: Recipe
    folder: Path
    progress: bool
    rows: list[ModelRow] = field(default_factory=list)
    reports: dict[str, RankingReport] = field(default_factory=dict)
    curves: dict[str, list[dict[str, float]]] = field(default_factory=dict)

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
            role="baseline" if kind in BASELINES else "model",
            train_seconds=fit.seconds,
            train_cpu_seconds=fit.cpu_seconds,
            n_parameters=fit.n_parameters or None,
            seeds=[self.recipe.seed],
        )


def run(recipe: Recipe, folder: Path, say: Say, *, progress: bool = False) -> RunRecord | None:
    """Runs a recipe; leaves `record.json`, `recipe.yaml`, `bundle/` and checkpoints in a folder.

    A run that was interrupted goes on from its checkpoints when the recipe is the same. Under
    `torchrun` the processes train together; the first does the rest, and the others get None.

    Args:
        recipe: everything there is to decide.
        folder: of the run.
        say: takes one line a stage, as it ends.
        progress: show progress bars on a terminal.

    Raises:
        RecipeError: for a model, a setting or a retriever that does not exist, before any work.
    """
    models = {name: build(settings, "recommender") for name, settings in recipe.models.items()}
    ranker: Ranker = build(recipe.ranking.ranker, "ranker")
    check_monitors(models, ranker)
    if recipe.retriever is None or recipe.retriever not in models:
        hint = did_you_mean(str(recipe.retriever), models)
        raise RecipeError(f"retriever: {recipe.retriever!r} is not among the models{hint}")
    team = Team()
    if team.is_first:
        _open_folder(recipe, folder)
    else:
        say, progress = _silent, False
    team.wait()
    job, stages = Job(recipe, folder, progress), Stages(say)
    with stages.stage("data") as summary:
        shop = open_shop(recipe)
        summary.append(repr(shop.data).strip("<>"))
    with stages.stage("tokenize") as summary:
        spelling = spell_items(shop, recipe)
        summary.append(f"{recipe.tokens.n_levels} levels of {recipe.tokens.n_codes} codes")
        summary.append(f"{100 * spelling.health.collision_rate:.1f} % of items share all of them")
    for name, model in models.items():
        with stages.stage(f"train {name}") as summary:
            summary.append(_train(job, name, model, shop))
    with stages.stage("train ranker") as summary:
        features = ranking_features(shop, spelling.vectors, recipe.ranking)
        clicks = click_log(shop, features, recipe.ranking, recipe.seed)
        stop = clicks.stop.table(features)

        def monitor(judged: Ranker) -> dict[str, float]:
            return {"auc": auc(judged.score(stop), stop.labels)}

        fit = ranker.fit(clicks.train.table(features), job.context("ranker", monitor))
        summary.append(f"{ranker.config.kind}, {len(clicks.train):,} impressions")
    if not team.is_first:
        return None
    with stages.stage("calibrate") as summary:
        rng = generator(recipe.seed, "calibrator")
        logits = ranker.score(clicks.calibrate.table(features))
        calibrator = choose(logits, clicks.calibrate.clicks, rng)
        logits = ranker.score(clicks.test.table(features))
        calibration = calibration_record(calibrator, logits, clicks.test)
        before, after = (calibration.metrics[when]["ece"] for when in ("before", "after"))
        summary.append(f"{calibrator.kind}: error {before:.4f} -> {after:.4f}")
    with stages.stage("evaluate") as summary:
        for n, row in enumerate(job.rows):
            job.rows[n] = _judged(job, row, models[row.name], shop, clicks)
        retriever = models[recipe.retriever]
        both = Ranked(retriever, ranker, features, recipe.ranking.n_candidates)
        row = job.row(f"{recipe.retriever} + {ranker.config.kind}", "ranked", fit)
        job.rows.append(_judged_ranker(job, row, both, shop, clicks, logits, calibrator))
        if shop.truth is not None:
            job.rows.append(_best_possible(job, Oracle(shop.truth), shop, clicks))
        summary.append(f"{len(shop.split.test):,} questions, {len(clicks.test):,} impressions")
    with stages.stage("export") as summary:
        order: Literal["ranker", "retriever"] = "retriever"
        if _ranker_is_better(retriever, both, shop):
            order = "ranker"
        served = Served(retriever, spelling.ids, ranker, features, calibrator, order)
        export_bundle(folder / "bundle", shop.data, served, recipe)
        engine = Engine(folder / "bundle")
        _time_served(job, engine, shop, both=order == "ranker")
        summary.append(f"bundle {engine.manifest['model_version']}, ordered by the {order}")
    record = record_of(job, stages, shop, spelling, clicks, calibration, engine)
    with whole_file(folder / "record.json") as draft:
        draft.write_text(record.model_dump_json(indent=1), encoding="utf-8")
    return record


def _silent(text: str) -> None:
    """Says nothing."""


def _open_folder(recipe: Recipe, folder: Path) -> None:
    """Makes the folder of a run; checkpoints of another recipe would lead astray, and go."""
    folder.mkdir(parents=True, exist_ok=True)
    snapshot, text = folder / "recipe.yaml", recipe.to_yaml()
    if snapshot.exists() and snapshot.read_text(encoding="utf-8") != text:
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    with whole_file(snapshot) as draft:
        draft.write_text(text, encoding="utf-8")


def _train(job: Job, name: str, model: Recommender, shop: Shop) -> str:
    """Fits one model, judged by the newest validation questions; returns what to say of it."""
    questions = _some(shop.split.valid)

    def monitor(judged: Recommender) -> dict[str, float]:
        return evaluate_recommender(judged, questions, ks=(10,)).metrics

    fit = model.fit(shop.training_data, job.context(name, monitor))
    job.rows.append(job.row(name, model.config.kind, fit))
    if not fit.epochs:
        return "one pass"
    best = fit.metrics.get("ndcg@10")
    said = "" if best is None else f", validation NDCG@10 {best:.4f}"
    return f"{fit.epochs} epochs, best {fit.best_epoch}{said}"


def _some(queries: Any) -> Any:
    rows = np.linspace(0, len(queries) - 1, min(N_JUDGED, len(queries))).astype(np.int64)
    return queries.take(rows)


def _evaluate(job: Job, model: Recommender, shop: Shop) -> RankingReport:
    popularity = shop.split.train.popularity()
    return evaluate_recommender(
        model, shop.split.test, ks=KS, training_popularity=popularity, progress=job.progress
    )


def _judged(job: Job, row: ModelRow, model: Recommender, shop: Shop, clicks: ClickLog) -> ModelRow:
    """Lists, clicks and latency of one recommender."""
    report = job.reports[row.name] = _evaluate(job, model, shop)
    quality = list_quality(report, job.recipe.seed)
    if model.scores_all_items:
        quality |= click_quality(click_scores(model, clicks.test), clicks.test)
    times = request_ms(model, shop.split.test)
    return row.model_copy(update={"quality": quality, "latency_ms": times})


def _judged_ranker(
    job: Job,
    row: ModelRow,
    both: Ranked,
    shop: Shop,
    clicks: ClickLog,
    logits: np.ndarray[Any, Any],
    calibrator: Calibrator,
) -> ModelRow:
    """Lists of the two stages together; clicks and probabilities of the ranker alone."""
    row = _judged(job, row, both, shop, clicks)
    quality = row.quality | click_quality(logits, clicks.test)
    quality |= probability_quality(calibrator.probability(logits), clicks.test)
    return row.model_copy(update={"quality": quality})


def _best_possible(job: Job, oracle: Oracle, shop: Shop, clicks: ClickLog) -> ModelRow:
    """What the truth itself would reach; no model can do better but by chance."""
    quality = list_quality(_evaluate(job, oracle, shop), job.recipe.seed)
    truth = clicks.test.true_probability
    if truth is not None:
        quality |= click_quality(truth, clicks.test) | probability_quality(truth, clicks.test)
    return ModelRow(name="best possible", kind="truth", role="bound", quality=quality)


def _ranker_is_better(retriever: Recommender, both: Ranked, shop: Shop) -> bool:
    """Decides on validation questions which of the two orders the list."""
    questions = _some(shop.split.valid)
    one, two = (
        evaluate_recommender(model, questions, ks=(10,)).metrics["ndcg@10"]
        for model in (retriever, both)
    )
    return two > one


def _time_served(job: Job, engine: Engine, shop: Shop, *, both: bool) -> None:
    """Puts the latency of the exported bundle where the table shows what is served."""
    histories = [row[row >= 0] for row in _some(shop.split.test).histories(30).items[:200]]
    times = latency_ms(lambda history: engine.recommend(history, 10), histories)
    for n, row in enumerate(job.rows):
        if row.kind == "ranked" if both else row.name == job.recipe.retriever:
            note = "served; milliseconds are those of the bundle"
            job.rows[n] = row.model_copy(update={"latency_ms": times, "note": note})
