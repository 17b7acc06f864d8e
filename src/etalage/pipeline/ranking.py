"""How likely is a click on what was retrieved? A ranker, its features and its calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etalage.bench.record import CalibrationRecord
from etalage.calibrate import Calibrator, FieldEffects, choose
from etalage.errors import RecipeError, did_you_mean
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender
from etalage.pipeline.clicks import ClickLog, click_log, ranking_features
from etalage.pipeline.export import Served
from etalage.pipeline.job import Job, resumed
from etalage.pipeline.measure import calibration_record
from etalage.pipeline.monitors import click_metrics
from etalage.pipeline.ranked import Ranked
from etalage.pipeline.shop import Shop, Spelling
from etalage.recipe.recipe import RankingRecipe, Recipe
from etalage.seeds import generator
from etalage.serve.runtime.calibration import CalibrationFields
from etalage.serve.runtime.features import RankingFeatures
from etalage.train.context import FitReport


@dataclass(frozen=True)
class Trained:
    """A fitted ranker with what it learned from."""

    ranker: Ranker
    features: RankingFeatures
    clicks: ClickLog
    fit: FitReport


@dataclass(frozen=True)
class Calibrated:
    """Logits of the test rows, and what turned them into probabilities."""

    calibrator: Calibrator
    fields: CalibrationFields
    logits: NDArray[np.float32]  # (R,)
    probabilities: NDArray[np.float64]  # (R,)
    record: CalibrationRecord


@dataclass(frozen=True)
class Window:
    """Two fitted stages and their calibration: all that is served."""

    both: Ranked
    trained: Trained
    calibrated: Calibrated

    @classmethod
    def of(cls, retriever: Recommender, trained: Trained, recipe: Recipe) -> Window:
        """Puts the stages together, and calibrates on rows that the ranker never saw."""
        n_candidates = recipe.ranking.n_candidates
        both = Ranked(retriever, trained.ranker, trained.features, n_candidates)
        return cls(both, trained, calibrate(trained, recipe))

    @property
    def clicks(self) -> ClickLog:
        """The impressions that the ranker learned from, and those it is judged on."""
        return self.trained.clicks

    def served(self, order: Literal["ranker", "retriever"], spelling: Spelling) -> Served:
        """What a bundle is made of."""
        trained, calibrated = self.trained, self.calibrated
        return Served(
            self.both.retriever,
            spelling.ids,
            trained.ranker,
            trained.features,
            calibrated.calibrator,
            calibrated.fields,
            order,
        )


def train_ranker(job: Job, ranker: Ranker, shop: Shop, spelling: Spelling) -> Trained:
    """Fits the ranker on the first part of the click log; the second says how long."""
    settings = job.recipe.ranking
    features = ranking_features(shop, spelling.vectors, settings)
    clicks = click_log(shop, features, settings, job.recipe.seed)
    stop = clicks.stop.table(features)
    context = job.context("ranker", lambda judged: click_metrics(judged, stop))
    table = clicks.train.table(features)
    fit, _ = resumed(lambda: ranker.fit(table, context), context)
    return Trained(ranker, features, clicks, fit)


def check_fields(shop: Shop, settings: RankingRecipe) -> None:
    """Raises RecipeError for a field to calibrate by that the log does not have."""
    if settings.calibrate_by:
        no_content = np.zeros((0, 0), np.float32)  # which no field is made of
        fields_of(ranking_features(shop, no_content, settings), settings)


def fields_of(features: RankingFeatures, settings: RankingRecipe) -> CalibrationFields:
    """The fields to calibrate by, their codes as the features have them, less the unknown.

    Raises:
        RecipeError: for a field that is not there, has no known value or is named twice.
    """
    names = settings.calibrate_by
    known = [name for name, n_codes in features.sizes.items() if n_codes > 1]
    for name in names:
        if name not in known:
            raise RecipeError(
                f"ranking.calibrate_by: this log has no field {name!r}{did_you_mean(name, known)} "
                f"(it has {', '.join(known)})"
            )
        if names.count(name) > 1:
            raise RecipeError(f"ranking.calibrate_by names {name!r} twice; name it once")
    codes = {name: np.arange(features.sizes[name], dtype=np.int64) - 1 for name in names}
    return CalibrationFields.of(codes, features)


def calibrate(trained: Trained, recipe: Recipe) -> Calibrated:
    """Fits a calibrator on rows that the ranker never saw, and judges it on the test rows."""
    clicks, features = trained.clicks, trained.features
    fields = fields_of(features, recipe.ranking)
    rows, labels = clicks.calibrate.table(features), clicks.calibrate.clicks
    logits = trained.ranker.score(rows)
    calibrator = choose(logits, labels, generator(recipe.seed, "calibrator"))
    if fields.codes:
        calibrator = FieldEffects(calibrator)
        calibrator.fit(logits, labels, fields.context(rows.categories))
    rows = clicks.test.table(features)
    logits = trained.ranker.score(rows)
    p = calibrator.probability(logits, fields.context(rows.categories))
    method = " by ".join(filter(None, (calibrator.kind, ", ".join(fields.codes))))
    record = calibration_record(method, logits, p, clicks.test)
    return Calibrated(calibrator, fields, logits, p, record)
