"""Is the ranker only too sure, or too shy? Platt scaling (1999) on logits.

p = sigmoid(slope l + intercept), slope > 0, by maximum likelihood with Platt's targets, which
stand for one more click and one more miss and keep separable data finite.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.calibrator import (
    Calibrator,
    Floats,
    checked_logits,
    checked_rows,
    log_odds,
    sigmoid,
)
from etalage.errors import NotFittedError

MOST_ROUNDS = 100
LEAST_SLOPE = 1e-3
"""Per standard deviation of the logits: where clicks ask for none or less, order still shows."""


class Platt(Calibrator):
    """Two numbers; the right choice for little data.

    >>> honest = Platt().fit([-1.0, -1.0, 1.0, 1.0] * 500, [0, 0, 1, 0] * 500)
    >>> honest.probability([1.0]).round(2).tolist()
    [0.5]
    """

    kind: ClassVar[str] = "platt"
    slope: float | None = None
    intercept: float = 0.0

    def fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        values, labels, scales = checked_rows(logits, clicks, weights)
        n_clicks = float(scales @ labels)
        n_misses = float(scales.sum()) - n_clicks
        targets = np.where(labels == 1, (n_clicks + 1) / (n_clicks + 2), 1 / (n_misses + 2))
        slope, intercept = logistic(values, targets, scales)
        middle = float(np.average(values, weights=scales))
        least = LEAST_SLOPE / _deviation(values, scales, middle)
        if slope < least:
            rate = np.average(targets, weights=scales)
            slope, intercept = least, float(log_odds(rate)) - least * middle
        self.slope, self.intercept = slope, intercept
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if self.slope is None:
            raise NotFittedError("Platt is not fitted; call fit(logits, clicks) first")
        return self.slope * checked_logits(logits) + self.intercept

    def to_dict(self) -> dict[str, Any]:
        if self.slope is None:
            raise NotFittedError("Platt is not fitted; call fit(logits, clicks) first")
        return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        platt = cls()
        platt.slope, platt.intercept = float(facts["slope"]), float(facts["intercept"])
        if not (0 < platt.slope < np.inf and np.isfinite(platt.intercept)):
            raise ValueError("the slope must be above 0, and both numbers finite")
        return platt


def logistic(values: Floats, targets: Floats, scales: Floats) -> tuple[float, float]:
    """Slope and intercept of logistic regression of targets in [0, 1], (n,), weighted by scales.

    Newton's method with halved steps; where values part the targets entirely, and no largest
    slope exists, it stops at a large one.
    """
    # standardised, so that Newton's matrix is well behaved whatever the scale of the values
    middle = float(np.average(values, weights=scales))
    spread = _deviation(values, scales, middle)
    x = np.column_stack([(values - middle) / spread, np.ones(len(values))])  # (n, 2)
    beta = np.zeros(2)
    cost = _cost(x @ beta, targets, scales)
    for _ in range(MOST_ROUNDS):
        p = sigmoid(x @ beta)
        slope = x.T @ (scales * (p - targets))
        curve = (x * (scales * p * (1 - p))[:, None]).T @ x + 1e-10 * scales.sum() * np.eye(2)
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while (new := _cost(x @ (beta - size * step), targets, scales)) > cost and size > 1e-6:
            size /= 2
        beta = beta - size * step
        if cost - new < 1e-12 * scales.sum():
            break
        cost = new
    return float(beta[0] / spread), float(beta[1] - beta[0] / spread * middle)


def _deviation(values: Floats, scales: Floats, middle: float) -> float:
    """Standard deviation of the values, 1 where all are alike."""
    if not np.ptp(values):  # told apart from a deviation that is only rounding
        return 1.0
    return float(np.sqrt(np.average((values - middle) ** 2, weights=scales))) or 1.0


def _cost(values: Floats, targets: Floats, scales: Floats) -> float:
    return float(scales @ (np.logaddexp(0, values) - targets * values))
