"""How far can probabilities be believed? Measures and the reliability diagram.

Letters: n rows, K bins; bin k has n_k rows, S_y(k) clicks and S_p(k) expected clicks.

- `log_loss`: mean of -log of the probability of what happened, p cut to [1e-7, 1 - 1e-7].
- `brier`: mean (p - y)^2.
- `pcoc`: S_p / S_y over all rows, predicted over observed clicks; 1 is right.
- `ece`: (1/n) Σ_k |S_y(k) - S_p(k)| over equal-mass bins of p; equal p are never parted.
- `ece_floor`: what `ece` would be by chance if every p were right, √(2/π)/n Σ_k √V_k with
  V_k = Σ p (1 - p) in bin k. An `ece` near its floor cannot be improved on these rows.
- `mce`: max_k |S_y(k) - S_p(k)| / n_k over the same bins.
- `kuiper`: rows in order of p, the range of the walk (1/n) Σ (y - p) and of 0, over its standard
  deviation √(Σ p (1 - p)) / n (Arrieta-Ibarra et al., 2022); bins are not needed. `kuiper_p` is the
  chance of as much if every p were right.
- `reliability`, `resolution`, `uncertainty`: parts of the Brier score over the same bins (Murphy,
  1973), Brier = reliability - resolution + uncertainty but for what differs within a bin.
- `slope`, `intercept`: logistic regression of the clicks on the logit of p (Cox, 1958): 1 and 0
  when right, a slope below 1 when extremes are overdone, below 0 when the order is wrong.

What does not apply is absent: `pcoc` where nothing was clicked, `slope` and `intercept` where all
rows were clicked or none was, or all probabilities are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import Floats, checked_clicks, log_odds
from etalage.calibrate.logistic import logistic
from etalage.errors import DataError

TINY = 1e-7
Z = 1.959964  # 97.5 % of the normal
LEAST_RANGE = 0.3
"""Range of a walk, in its standard deviations, that is exceeded for certain but for 1e-40."""
MOST_RANGE = 12.0
"""Range that is not reached but for 1e-30."""
TERMS = 50
"""Of the series of the walk's range; enough up to that."""


@dataclass(frozen=True)
class Bin:
    """Rows of like probability; `low` and `high` hold 95 % by Wilson's interval."""

    predicted: float
    observed: float
    low: float
    high: float
    count: int


def measures(probabilities: ArrayLike, clicks: ArrayLike, n_bins: int = 20) -> dict[str, float]:
    """All measures of this module that apply to these rows, by name."""
    p, y = checked_probabilities(probabilities, clicks)
    cut = np.clip(p, TINY, 1 - TINY)
    starts, order = _bins(p, n_bins)
    gap = np.add.reduceat((p - y)[order], starts)
    noise = np.sqrt(np.add.reduceat((p * (1 - p))[order], starts))
    counts = np.diff(starts, append=len(p))
    rates = np.add.reduceat(y[order], starts) / counts
    overall = y.mean()
    kuiper, chance = _kuiper(p[order], y[order])
    found = {
        "log_loss": log_loss(p, y),
        "brier": float(np.mean((p - y) ** 2)),
        "ece": float(np.abs(gap).sum() / len(p)),
        "ece_floor": float(np.sqrt(2 / np.pi) * noise.sum() / len(p)),
        "mce": float(np.abs(gap / counts).max()),
        "kuiper": kuiper,
        "kuiper_p": chance,
        "reliability": float((gap / counts) ** 2 @ counts / len(p)),
        "resolution": float((rates - overall) ** 2 @ counts / len(p)),
        "uncertainty": float(overall * (1 - overall)),
    }
    if y.any():
        found["pcoc"] = float(p.sum() / y.sum())
    if 0 < y.sum() < len(y) and np.ptp(cut) > 0:
        (slope,), found["intercept"] = logistic(log_odds(cut)[:, None], y, np.ones(len(y)))
        found["slope"] = float(slope)
    return found


def log_loss(probabilities: ArrayLike, clicks: ArrayLike) -> float:
    """Mean of -log of the probability of what happened."""
    p, y = checked_probabilities(probabilities, clicks)
    p = np.clip(p, TINY, 1 - TINY)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log1p(-p))))


def divergence(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean Kullback-Leibler divergence of others from true probabilities (n,), where those are
    known: what the log-loss is above the least there is. Both are cut to [1e-7, 1 - 1e-7]."""
    p, q = (
        np.clip(np.asarray(a, dtype=np.float64), TINY, 1 - TINY) for a in (truth, probabilities)
    )
    return float(np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))))


def _kuiper(p: Floats, y: Floats) -> tuple[float, float]:
    """Statistic of rows in order of p, and the chance of as much under calibration."""
    scale = np.sqrt((p * (1 - p)).sum())
    if not scale:
        return 0.0, 1.0
    parted = np.diff(p, append=np.inf) > 0  # rows that are equal have no order
    walk = np.append(np.cumsum(y - p)[parted], 0.0)
    x = float(np.ptp(walk) / scale)
    if x < LEAST_RANGE:
        return x, 1.0
    if x > MOST_RANGE:
        return x, 0.0
    odd = (np.arange(TERMS) + 0.5) ** 2 * np.pi**2
    below = ((8 / x**2 + 2 / odd) * np.exp(-2 * odd / x**2)).sum()
    return x, float(np.clip(1 - below, 0, 1))


def reliability(probabilities: ArrayLike, clicks: ArrayLike, n_bins: int = 15) -> list[Bin]:
    """Equal-mass bins of probabilities, in rising order; fewer than asked where many are equal."""
    p, y = checked_probabilities(probabilities, clicks)
    starts, order = _bins(p, n_bins)
    counts = np.diff(starts, append=len(p))
    predicted = np.add.reduceat(p[order], starts) / counts
    observed = np.add.reduceat(y[order], starts) / counts
    low, high = wilson(observed, counts)
    columns = (predicted, observed, low, high, counts)
    return [Bin(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]


def wilson(rate: Floats, count: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of rates over counts."""
    wide = 1 + Z**2 / count
    middle = (rate + Z**2 / (2 * count)) / wide
    reach = Z / wide * np.sqrt(rate * (1 - rate) / count + Z**2 / (4 * count**2))
    return np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)


def _bins(p: Floats, n_bins: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First place of each bin in the order of p, and that order."""
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    cuts = np.arange(min(n_bins, len(p))) * len(p) // min(n_bins, len(p))
    return np.unique(np.searchsorted(ranked, ranked[cuts], side="left")), order


def checked_probabilities(probabilities: ArrayLike, clicks: ArrayLike) -> tuple[Floats, Floats]:
    """Probabilities and clicks as float64 (n,); DataError for what is none."""
    p = np.asarray(probabilities, dtype=np.float64).ravel()
    y = checked_clicks(clicks, len(p))
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("probabilities must lie between 0 and 1; were logits passed by mistake?")
    return p, y
