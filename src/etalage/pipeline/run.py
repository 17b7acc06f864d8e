"""The main job: from a log to a measured, calibrated window that can be served."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from etalage import __version__
from etalage.artefact import whole_file
from etalage.bench.record import ModelRow, RunRecord
from etalage.errors import RecipeError, did_you_mean
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender
from etalage.models.registry import build
from etalage.pipeline.clicks import ClickLog
from etalage.pipeline.export import Served, check_exportable, export_bundle
from etalage.pipeline.job import Job, some
from etalage.pipeline.measure import (
    Oracle,
    click_quality,
    click_scores,
    list_quality,
    probability_quality,
    request_ms,
)
from etalage.pipeline.monitors import check_monitors
from etalage.pipeline.ranking import Window, check_fields, train_ranker
from etalage.pipeline.shop import Shop, open_shop, spell_items, token_settings
from etalage.pipeline.stages import Say, Stages
from etalage.pipeline.summary import record_of
from etalage.pipeline.timing import time_bundle
from etalage.recipe.recipe import Recipe
from etalage.serve.runtime.engine import Engine
from etalage.train.team import Team

N_TIMED = 200


def run(recipe: Recipe, folder: Path, say: Say, *, progress: bool = False) -> RunRecord | None:
    """Runs a recipe; leaves `record.json`, `recipe.yaml`, `bundle/` and checkpoints in a folder.

    Without a retriever models are compared, and nothing is ranked, calibrated or served. A run
    that was interrupted goes on from its checkpoints when recipe and log are the same. Under
    `torchrun` the processes train together; the first does the rest, and the others get None.

    Args:
        recipe: everything there is to decide.
        folder: of the run.
        say: takes one line a stage, as it ends.
        progress: show progress bars on a terminal.

    Raises:
        RecipeError: for a model, a setting or a retriever that does not exist or cannot be
            served, before any work; for a field to calibrate by that the log does not have,
            before any training.
    """
    models, retriever, ranker = planned(recipe)
    team = Team()
    if not team.is_first:
        say, progress = _silent, False
    folder.mkdir(parents=True, exist_ok=True)
    job, stages = Job(recipe, folder, progress), Stages(say)
    with stages.stage("data") as summary:
        shop = open_shop(recipe)
        summary.append(repr(shop.data).strip("<>"))
        if ranker is not None:
            check_fields(shop, recipe.ranking)
    if team.is_first:
        made_of = f"# etalage {__version__}, data {shop.data.hash}"
        _write(folder / "recipe.yaml", f"{made_of}\n{recipe.to_yaml()}")
    with stages.stage("tokenize") as summary:
        spelling = spell_items(shop, recipe)
        summary.append(f"{spelling.ids.n_levels} levels of {max(spelling.ids.sizes)} codes")
        summary.append(f"{100 * spelling.health.collision_rate:.1f} % of items share all of them")
    for name, model in models.items():
        if needs := model.plan(shop.training_data):
            stages.say(f"plan {name:<17} {needs}")
        with stages.stage(f"train {name}") as summary:
            summary.append(job.fit(name, model, shop))
    trained = None
    if ranker is not None:
        with stages.stage("train ranker") as summary:
            trained = train_ranker(job, ranker, shop, spelling)
            summary.append(f"{ranker.config.kind}, {len(trained.clicks.train):,} impressions")
    if not team.is_first:
        return None
    window = engine = None
    if retriever is not None and trained is not None:
        with stages.stage("calibrate") as summary:
            window = Window.of(retriever, trained, recipe)
            metrics = window.calibrated.record.metrics
            before, after = (metrics[when]["ece"] for when in ("before", "after"))
            method = window.calibrated.record.method
            summary.append(f"{method}: error {before:.4f} -> {after:.4f}")
    with stages.stage("evaluate") as summary:
        _evaluate(job, models, shop, window)
        summary.append(f"{len(shop.split.test):,} questions")
        summary += [] if window is None else [f"{len(window.clicks.test):,} impressions"]
    if window is not None:
        with stages.stage("export") as summary:
            served = window.served(_better(job, window, shop), spelling)
            engine = _export(job, served, shop)
            version = engine.manifest["model_version"]
            summary.append(f"bundle {version}, ordered by the {served.order}")
    shown = spelling.shown_with(retriever)
    record = record_of(job, models, stages, shop, shown, window, engine)
    _write(folder / "record.json", record.model_dump_json(indent=1))
    return record


def _write(path: Path, text: str) -> None:
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def _silent(text: str) -> None:
    """Says nothing."""


def planned(recipe: Recipe) -> tuple[dict[str, Recommender], Recommender | None, Ranker | None]:
    """Builds the models of a recipe; says which is its retriever, and builds the ranker it needs.

    Raises:
        RecipeError: for a model, a setting or a retriever that does not exist or cannot be served.
    """
    models = {
        name: build(settings, "recommender", f"models.{name}")
        for name, settings in recipe.models.items()
    }
    retriever = _retriever(recipe, models)
    ranker = None if retriever is None else build(recipe.ranking.ranker, "ranker", "ranking.ranker")
    check_monitors(models, ranker)
    token_settings(recipe)
    return models, retriever, ranker


def _retriever(recipe: Recipe, models: dict[str, Recommender]) -> Recommender | None:
    """The model to serve, if one is."""
    if recipe.retriever is None:
        return None
    if recipe.retriever not in models:
        hint = did_you_mean(recipe.retriever, models)
        raise RecipeError(f"retriever: {recipe.retriever!r} is not among the models{hint}")
    check_exportable(models[recipe.retriever], recipe.retriever)
    return models[recipe.retriever]


def _evaluate(job: Job, models: dict[str, Recommender], shop: Shop, window: Window | None) -> None:
    """Puts what was measured into every row, and adds those of the window and of the truth."""
    clicks = None if window is None else window.clicks
    for n, row in enumerate(job.rows):
        job.rows[n] = _judged(job, row, models[row.name], shop, clicks)
    if window is not None:
        job.rows.append(_judged_window(job, window, shop))
    if shop.truth is not None:
        job.rows.append(_best_possible(job, Oracle(shop.truth), shop, clicks))


def _judged(
    job: Job, row: ModelRow, model: Recommender, shop: Shop, clicks: ClickLog | None
) -> ModelRow:
    """Lists, clicks and latency of one recommender."""
    report = job.reports[row.name] = job.tested(model, shop)
    quality = list_quality(report, job.recipe.seed)
    if model.scores_all_items and clicks is not None:
        quality |= click_quality(click_scores(model, clicks.test), clicks.test)
    times = request_ms(model, shop.split.test)
    return row.model_copy(update={"quality": quality, "latency_ms": times})


def _judged_window(job: Job, window: Window, shop: Shop) -> ModelRow:
    """Lists of the two stages together; clicks and probabilities of the ranker alone."""
    trained, calibrated, test = window.trained, window.calibrated, window.clicks.test
    name = f"{job.recipe.retriever} + {trained.ranker.config.kind}"
    row = job.row(name, "ranked", trained.fit)
    row = _judged(job, row, window.both, shop, window.clicks)
    quality = row.quality | click_quality(calibrated.logits, test)
    quality |= probability_quality(calibrated.probabilities, test)
    return row.model_copy(update={"quality": quality})


def _better(job: Job, window: Window, shop: Shop) -> Literal["ranker", "retriever"]:
    """Which of the two orders the answers to validation questions better."""
    models = (window.both.retriever, window.both)
    one, two = (job.validated(model, shop)["ndcg@10"] for model in models)
    return "ranker" if two > one else "retriever"


def _export(job: Job, served: Served, shop: Shop) -> Engine:
    """Writes the bundle, and puts its latency where the table shows what is served."""
    folder = job.folder / "bundle"
    export_bundle(folder, shop.data, served, job.recipe)
    histories = some(shop.split.test).histories(30).items[:N_TIMED]
    times = time_bundle(folder, [row[row >= 0] for row in histories])
    note = f"served, by an engine of {times['peak_mb']:.0f} MB"
    for n, row in enumerate(job.rows):
        if row.kind == "ranked" if served.order == "ranker" else row.name == job.recipe.retriever:
            job.rows[n] = row.model_copy(update={"latency_ms": times, "note": note})
    return Engine(folder)


def _best_possible(job: Job, oracle: Oracle, shop: Shop, clicks: ClickLog | None) -> ModelRow:
    """What the truth itself would reach; no model can do better but by chance."""
    quality = list_quality(job.tested(oracle, shop), job.recipe.seed)
    truth = None if clicks is None else clicks.test.true_probability
    if clicks is not None and truth is not None:
        quality |= click_quality(truth, clicks.test) | probability_quality(truth, clicks.test)
    return ModelRow(name="best possible", kind="truth", role="bound", quality=quality)
