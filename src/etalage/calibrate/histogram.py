"""What is clicked in each bin of scores? Histogram binning (Zadrozny and Elkan, 2001).

A baseline: rows of a bin are tied, and a bin may fall below the one before it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.calibrator import Calibrator, Floats, checked_logits, log_odds
from etalage.calibrate.isotonic import bin_starts
from etalage.calibrate.summary import LogitSummary

N_BINS = 50
PRIOR = 1.0
"""Rows of the overall rate that are added to each bin, so that no rate is 0 or 1."""


class Histogram(Calibrator):
    """p' = (S_y + m π) / (n + m) of an equal-mass bin: n rows with S_y clicks, π the overall rate
    and m one row. Not monotone."""

    kind: ClassVar[str] = "histogram"

    def __init__(self) -> None:
        self.edges = np.zeros(0)
        """Logits at which the second bin and all later ones begin."""
        self.rates = np.zeros(0)

    def learn(self, summary: LogitSummary) -> Self:
        x, clicks, mass = summary.rows()
        starts = bin_starts(mass, N_BINS)
        total = np.add.reduceat(mass, starts)
        rate = (clicks.sum() + 0.5) / (mass.sum() + 1)
        self.rates = (np.add.reduceat(clicks, starts) + PRIOR * rate) / (total + PRIOR)
        self.edges = (x[starts[1:] - 1] + x[starts[1:]]) / 2
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if not len(self.rates):
            raise self.not_fitted()
        places = np.searchsorted(self.edges, checked_logits(logits), side="right")
        return log_odds(self.rates)[places]

    def to_dict(self) -> dict[str, Any]:
        edges, rates = self.edges.tolist(), self.rates.tolist()
        return {"kind": self.kind, "edges": edges, "rates": rates}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        bins = cls()
        bins.edges = np.array(facts["edges"], dtype=np.float64)
        bins.rates = np.array(facts["rates"], dtype=np.float64)
        if bins.edges.ndim != 1 or bins.rates.shape != (len(bins.edges) + 1,):
            raise ValueError("there must be one rate more than there are edges")
        if not (np.isfinite(bins.edges).all() and (np.diff(bins.edges) > 0).all()):
            raise ValueError("the edges do not rise, or some are not finite")
        if not ((bins.rates > 0) & (bins.rates < 1)).all():
            raise ValueError("a rate is not between 0 and 1")
        return bins
