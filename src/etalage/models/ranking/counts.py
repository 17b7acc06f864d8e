"""Clicks that were counted: the floor of every table, whose weights no step has learned.

Letters: B rows, F category fields.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from etalage.data.features import FeatureTable
from etalage.models.ranking.linear import LRNetwork
from etalage.models.ranking.network import Columns
from etalage.models.ranking.network_ranker import NetworkRanker
from etalage.recipe.config import ModelConfig
from etalage.train.context import FitReport, TrainContext


class CountsConfig(ModelConfig):
    """Settings of counted clicks."""

    kind: Literal["counts"] = "counts"
    smoothing: float = Field(20.0, gt=0)
    """Impressions at the overall rate that every code is taken to have had besides its own."""


class Counts(NetworkRanker):
    """logit = logit(p) + Σ_f [logit(p_f) - logit(p)]: naive Bayes over the category fields.

    p is the share of clicks, and p_f = (clicks + s p) / (impressions + s) that of the row's code in
    field f, smoothed by s. A code that was never seen, or that stands for no value, says nothing.
    Numbers, bags and the history are not read. The weights are those of logistic regression,
    counted in one sweep.
    """

    config_type = CountsConfig
    network_type = LRNetwork
    config: CountsConfig  # type: ignore[assignment]  # there is no loop to set

    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        self.columns = Columns.of(table)
        self.network = self._initial(context.seed)
        clicks = table.labels.astype(np.float64)
        rate, s = clicks.mean(), self.config.smoothing
        with torch.no_grad():
            for weights in self.network.parameters():
                weights.zero_()
            self.network.out.bias.fill_(_logit(rate).item())
            starts = self.network.starts.tolist()
            for codes, start, size in zip(
                table.categories.T, starts, table.sizes.values(), strict=True
            ):
                shown = np.bincount(codes, minlength=size)
                clicked = np.bincount(codes, clicks, minlength=size)
                evidence = _logit((clicked + s * rate) / (shown + s)) - _logit(rate)
                rows = slice(start + 1, start + size)
                self.network.tables[0][rows, 0] = torch.from_numpy(evidence[1:]).float()
        return FitReport(n_parameters=sum(p.numel() for p in self.network.parameters()))


def _logit(rate: ArrayLike) -> NDArray[np.float64]:
    return np.log(rate) - np.log1p(np.negative(rate))
