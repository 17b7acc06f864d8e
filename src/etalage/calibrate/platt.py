"""Is the ranker only too sure, or too shy? Platt scaling (1999) on logits, and temperature.

p = sigmoid(slope l + intercept), slope > 0, by maximum likelihood with Platt's targets, which
stand for one more click and one more miss and keep separable data finite.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.calibrator import Calibrator, Floats, checked_logits, log_odds, sigmoid
from etalage.calibrate.logistic import deviation, logistic
from etalage.calibrate.summary import PER_LOGIT, LogitSummary, Rows

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

    def learn(self, summary: LogitSummary) -> Self:
        x, _, mass = rows = summary.rows()
        targets = platt_targets(rows)
        (slope,), intercept = logistic(x[:, None], targets, mass)
        least = least_slope(rows)
        if slope < least or are_alike(rows):
            rate, middle = np.average(targets, weights=mass), np.average(x, weights=mass)
            slope, intercept = least, float(log_odds(rate)) - least * float(middle)
        self.slope, self.intercept = float(slope), intercept
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if self.slope is None:
            raise self.not_fitted()
        return self.slope * checked_logits(logits) + self.intercept

    def to_dict(self) -> dict[str, Any]:
        if self.slope is None:
            raise self.not_fitted()
        return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        platt = cls()
        platt.slope, platt.intercept = float(facts["slope"]), float(facts["intercept"])
        if not (0 < platt.slope < np.inf and np.isfinite(platt.intercept)):
            raise ValueError("the slope must be above 0, and both numbers finite")
        return platt


class Temperature(Platt):
    """Platt without an intercept, p = sigmoid(l / T) (Guo et al., 2017): where the rate is right
    and only the confidence is wrong, which is rare with clicks."""

    kind: ClassVar[str] = "temperature"

    def learn(self, summary: LogitSummary) -> Self:
        x, _, mass = rows = summary.rows()
        self.slope = max(_through_zero(x, platt_targets(rows), mass), least_slope(rows))
        return self


def platt_targets(rows: Rows) -> Floats:
    """What each bin is held to: its click rate, as if there were one more click and one more miss
    at every logit (Platt, 1999), (bins,)."""
    n_clicks = rows.clicks.sum()
    n_misses = rows.mass.sum() - n_clicks
    clicks, misses = rows.clicks, rows.mass - rows.clicks
    up, down = (n_clicks + 1) / (n_clicks + 2), 1 / (n_misses + 2)
    targets: Floats = (clicks * up + misses * down) / rows.mass
    return targets


def least_slope(rows: Rows) -> float:
    """The slope that a curve has at least, so that it keeps the order of the logits."""
    return LEAST_SLOPE / max(float(deviation(rows.logits[:, None], rows.mass)[0]), 1 / PER_LOGIT)


def are_alike(rows: Rows) -> bool:
    """Whether logits differ by less than a bin: by rounding, from which no slope follows."""
    return float(np.ptp(rows.logits)) < 1 / PER_LOGIT


def _through_zero(x: Floats, targets: Floats, mass: Floats) -> float:
    """Slope of logistic regression without an intercept, by bisection of its falling gradient."""
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        if mass @ (x * (targets - sigmoid(middle * x))) > 0:
            low = middle
        else:
            high = middle
    return middle
