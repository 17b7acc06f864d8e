"""Are the probabilities that are served still right? An alarm that may be looked at at any time.

For each of a few shifts d of all logits, the likelihood ratio of clicks under shifted and served
probabilities, Π (q / p)^y ((1 - q) / (1 - p))^(1 - y) with logit q = logit p + d, is 1 in
expectation as long as p is right, whatever came before; so is the mean over the shifts. By Ville's
inequality it ever reaches 1 / α with a chance of at most α. Its logarithm is what a shift would
have gained in log-loss: alarm and benefit are one number.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.calibrator import Floats
from etalage.calibrate.measures import checked_probabilities, divergence
from etalage.errors import DataError

SHIFTS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Of the logit, up and down: 0.1 are 10 % of clicks where those are few."""
CHUNK = 4096
TINY = 1e-12


class DriftAlarm:
    """Rings when served probabilities are no longer right, all in all.

    >>> alarm = DriftAlarm(alpha=0.01)
    >>> alarm.add([0.1] * 3000, [1, 0, 0] * 1000).rings
    True

    Args:
        alpha: chance of a false alarm, in a stream of any length.
    """

    def __init__(self, alpha: float = 0.01) -> None:
        if not 0 < alpha < 1:
            raise DataError(f"alpha={alpha} must lie between 0 and 1")
        self.alpha = alpha
        self.shifts = np.array([*(-d for d in SHIFTS), *SHIFTS])
        self.gains: Floats = np.zeros(len(self.shifts))
        """Log-likelihood that each shift has gained so far."""
        self.n_rows = 0
        self.rang_at: int | None = None
        """Rows after which it rang first."""

    @property
    def rings(self) -> bool:
        """Whether it ever rang."""
        return self.rang_at is not None

    @property
    def evidence(self) -> float:
        """Logarithm of the mean likelihood ratio; from -log α on it rings."""
        return float(_log_mean(self.gains[None])[0])

    @property
    def shift(self) -> float:
        """The shift of the logits that clicks speak for most; 0 where they speak for none."""
        best = int(np.argmax(self.gains))
        return float(self.shifts[best]) if self.gains[best] > 0 else 0.0

    def add(self, probabilities: ArrayLike, clicks: ArrayLike) -> Self:
        """Takes what was served, (n,), and what came of it, (n,), in the order of time."""
        if not np.size(probabilities) and not np.size(clicks):
            return self
        p, y = checked_probabilities(probabilities, clicks)
        for start in range(0, len(p), CHUNK):
            part, came = np.clip(p[start : start + CHUNK], TINY, 1 - TINY), y[start : start + CHUNK]
            # log((1 - q) / (1 - p)) = -log(1 + p (e^d - 1))
            gains = came[:, None] * self.shifts - np.log1p(part[:, None] * np.expm1(self.shifts))
            walk = self.gains + np.cumsum(gains, axis=0)  # (rows, shifts)
            if self.rang_at is None:
                over = _log_mean(walk) >= -np.log(self.alpha)
                if over.any():
                    self.rang_at = self.n_rows + int(over.argmax()) + 1
            self.gains = walk[-1]
            self.n_rows += len(part)
        return self


def rows_to_find(rate: float, error: float, alpha: float) -> float:
    """Rows after which an alarm that knew the error would ring, in expectation: log(1 / α) over the
    divergence of a click rate `rate` from what is served, `rate` · (1 + `error`)."""
    return float(-np.log(alpha) / divergence([rate], [rate * (1 + error)]))


def _log_mean(logs: Floats) -> Floats:
    """log of the mean of e^x along the last axis, (n,)."""
    most = logs.max(1)
    mean: Floats = most + np.log(np.exp(logs - most[:, None]).mean(1))
    return mean
