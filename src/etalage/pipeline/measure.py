"""How good was each model, and how sure is that? Rows of the table, from one run's test data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from etalage.bench.record import CalibrationRecord, Measure, ReliabilityBin
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.measures import measures
from etalage.calibrate.reliability import reliability
from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.data.simulated import Truth
from etalage.data.split import Queries
from etalage.evaluate.classification import auc, gauc
from etalage.evaluate.latency import latency_ms
from etalage.evaluate.ranking import SCORES_AT_ONCE, RankingReport
from etalage.evaluate.significance import auc_interval, compare, interval
from etalage.models.recommender import Recommender
from etalage.pipeline.clicks import Impressions
from etalage.recipe.config import ModelConfig
from etalage.seeds import generator
from etalage.train.context import FitReport, TrainContext

VISITS_AT_ONCE = 256
N_REQUESTS = 100
"""Requests timed for a model."""


class OracleConfig(ModelConfig):
    """The truth has no settings."""

    kind: Literal["oracle"] = "oracle"


class Oracle(Recommender):
    """Orders by the true expected clicks of a simulated shop: the best that can be done."""

    config_type = OracleConfig

    def __init__(self, truth: Truth) -> None:
        super().__init__(OracleConfig())
        self.truth = truth
        self.n_items = len(truth.items)

    def score_queries(self, queries: Queries) -> NDArray[np.float32]:
        return self.truth.expected_clicks(queries)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        raise NotImplementedError("the truth must know who asks and when; use score_queries")

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        return FitReport()

    def save(self, folder: Path) -> None:
        raise NotImplementedError("the truth is simulated again, not saved")

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError("the truth is simulated again, not loaded")


def list_quality(report: RankingReport, seed: int) -> dict[str, Measure]:
    """Metrics of lists; those that are means over queries have bootstrap intervals."""
    quality = {name: Measure(value=value) for name, value in report.exposure.items()}
    for name, values in report.per_query.items():
        low, high = interval(values, generator(seed, "interval", name))
        quality[name] = Measure(value=float(values.mean()), low=low, high=high)
    return quality


def click_quality(scores: NDArray[Any], rows: Impressions) -> dict[str, Measure]:
    """How well scores (R,) tell clicks from misses."""
    if len(np.unique(rows.clicks)) < 2:
        return {}
    low, high = auc_interval(scores, rows.clicks)
    within, _ = gauc(scores, rows.clicks, rows.users)
    area = Measure(value=auc(scores, rows.clicks), low=low, high=high)
    return {"auc": area} | ({} if np.isnan(within) else {"gauc": Measure(value=within)})


def probability_quality(p: NDArray[np.float64], rows: Impressions) -> dict[str, Measure]:
    """How far probabilities (R,) can be believed."""
    return {name: Measure(value=value) for name, value in measures(p, rows.clicks).items()}


def click_scores(model: Recommender, rows: Impressions) -> NDArray[np.float32]:
    """Scores of the items shown, (R,); what a model cannot score comes last."""
    scores = np.empty(len(rows), dtype=np.float32)
    size = max(1, min(VISITS_AT_ONCE, SCORES_AT_ONCE // model.n_items))
    done = 0
    for start in range(0, len(rows.starts), size):
        part = rows.of_visits(start, min(start + size, len(rows.starts)))
        found = model.score(part.histories(model.history_length))
        scores[done : done + len(part)] = found[part.visits, part.items]
        done += len(part)
    known = scores[~np.isnan(scores)]
    return np.nan_to_num(scores, nan=float(known.min() - 1) if len(known) else 0.0)


def request_ms(model: Recommender, queries: Queries) -> dict[str, float]:
    """Milliseconds of single requests for ten items."""
    few = queries.take(np.linspace(0, len(queries) - 1, N_REQUESTS).astype(np.int64))
    histories = few.histories(model.history_length)
    requests = [histories.take(slice(n, n + 1)) for n in range(len(few))]
    return latency_ms(lambda history: model.recommend(history, 10), requests, max_seconds=3)


def comparisons(reports: dict[str, RankingReport], seed: int) -> list[dict[str, Any]]:
    """The best model against every other, paired by query, corrected together."""
    metric = "ndcg@10"
    best = max(reports, key=lambda name: reports[name].metrics[metric])
    values = {name: report.per_query[metric] for name, report in reports.items()}
    pairs = [(best, name) for name in reports if name != best]
    rows = compare(values, generator(seed, "comparisons"), pairs)
    return [{"metric": metric} | asdict(row) for row in rows]


def calibration_record(
    method: str, logits: NDArray[np.float32], after: NDArray[np.float64], rows: Impressions
) -> CalibrationRecord:
    """Reliability of test rows before calibration and `after`, (R,)."""
    before = sigmoid(logits)

    def bins(p: NDArray[np.float64]) -> list[ReliabilityBin]:
        return [ReliabilityBin(**asdict(row)) for row in reliability(p, rows.clicks)]

    return CalibrationRecord(
        method=method,
        before=bins(before),
        after=bins(after),
        metrics={"before": measures(before, rows.clicks), "after": measures(after, rows.clicks)},
    )
