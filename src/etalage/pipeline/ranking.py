"""How likely is a click on what was retrieved? A ranker, its features and its calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etalage.bench.record import CalibrationRecord
from etalage.calibrate import Calibrator, choose
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender
from etalage.pipeline.clicks import ClickLog, click_log, ranking_features
from etalage.pipeline.export import Served
from etalage.pipeline.job import Job, resumed
from etalage.pipeline.measure import calibration_record
from etalage.pipeline.monitors import click_metrics
from etalage.pipeline.ranked import Ranked
from etalage.pipeline.shop import Shop, Spelling
from etalage.recipe.recipe import Recipe
from etalage.seeds import generator
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
    """Logits of the test rows, and what turns them into probabilities."""

    calibrator: Calibrator
    logits: NDArray[np.float32]  # (R,)
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
        return cls(both, trained, calibrate(trained, recipe.seed))

    @property
    def clicks(self) -> ClickLog:
        """The impressions that the ranker learned from, and those it is judged on."""
        return self.trained.clicks

    def served(self, order: Literal["ranker", "retriever"], spelling: Spelling) -> Served:
        """What a bundle is made of."""
        trained, calibrator = self.trained, self.calibrated.calibrator
        return Served(
            self.both.retriever, spelling.ids, trained.ranker, trained.features, calibrator, order
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


def calibrate(trained: Trained, seed: int) -> Calibrated:
    """Fits a calibrator on rows that the ranker never saw, and judges it on the test rows."""
    clicks, features = trained.clicks, trained.features
    logits = trained.ranker.score(clicks.calibrate.table(features))
    calibrator = choose(logits, clicks.calibrate.clicks, generator(seed, "calibrator"))
    logits = trained.ranker.score(clicks.test.table(features))
    return Calibrated(calibrator, logits, calibration_record(calibrator, logits, clicks.test))
