"""How far can probabilities be believed? Measures of them.

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

A weight of 2 is a row that was there twice, in all of them: sums of rows, clicks and variances are
of weighted rows, so weights should be 1 in the mean. Weights that make up for how rows were drawn
are no copies; by them floors and chances are too low.

What does not apply is absent: `pcoc` where nothing was clicked, `slope` and `intercept` where all
rows were clicked or none was, or all probabilities are one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import Floats, checked_clicks, checked_weights, log_odds
from etalage.calibrate.logistic import logistic
from etalage.errors import DataError

TINY = 1e-7
LEAST_RANGE = 0.3
"""Range of a walk, in its standard deviations, that is exceeded for certain but for 1e-40."""
MOST_RANGE = 12.0
"""Range that is not reached but for 1e-30."""
TERMS = 50
"""Of the series of the walk's range; enough up to that."""
ROUNDING = 1e-9
"""By which share a sum may miss what it should be."""


def measures(
    probabilities: ArrayLike,
    clicks: ArrayLike,
    n_bins: int = 20,
    *,
    weights: ArrayLike | None = None,
) -> dict[str, float]:
    """All measures of this module that apply to these rows, by name."""
    p, y, w = checked_weighted(probabilities, clicks, weights)
    cut = np.clip(p, TINY, 1 - TINY)
    starts, order = equal_bins(p, n_bins, w)
    total = w.sum()
    gap = np.add.reduceat((w * (p - y))[order], starts)
    noise = np.sqrt(np.add.reduceat((w * p * (1 - p))[order], starts))
    counts = np.add.reduceat(w[order], starts)
    rates = np.add.reduceat((w * y)[order], starts) / counts
    overall = w @ y / total
    kuiper, chance = _kuiper(p[order], y[order], w[order])
    found = {
        "log_loss": log_loss(p, y, w),
        "brier": float(w @ (p - y) ** 2 / total),
        "ece": float(np.abs(gap).sum() / total),
        "ece_floor": float(np.sqrt(2 / np.pi) * noise.sum() / total),
        "mce": float(np.abs(gap / counts).max()),
        "kuiper": kuiper,
        "kuiper_p": chance,
        "reliability": float((gap / counts) ** 2 @ counts / total),
        "resolution": float((rates - overall) ** 2 @ counts / total),
        "uncertainty": float(overall * (1 - overall)),
    }
    if y.any():
        found["pcoc"] = float(w @ p / (w @ y))
    if 0 < y.sum() < len(y) and np.ptp(cut) > 0:
        (slope,), found["intercept"] = logistic(log_odds(cut)[:, None], y, w)
        found["slope"] = float(slope)
    return found


def log_loss(
    probabilities: ArrayLike, clicks: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Mean of -log of the probability of what happened."""
    p, y, w = checked_weighted(probabilities, clicks, weights)
    p = np.clip(p, TINY, 1 - TINY)
    # no product of vectors: numpy's BLAS would wake its threads, which spin beside those that judge
    return float(-np.average(np.where(y == 1, np.log(p), np.log1p(-p)), weights=w))


def divergence(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean Kullback-Leibler divergence of others from true probabilities (n,), where those are
    known: what the log-loss is above the least there is. Both are cut to [1e-7, 1 - 1e-7]."""
    p, q = (
        np.clip(np.asarray(a, dtype=np.float64), TINY, 1 - TINY) for a in (truth, probabilities)
    )
    return float(np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))))


def _kuiper(p: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    """Statistic of rows in order of p, and the chance of as much under calibration."""
    scale = np.sqrt((w * p * (1 - p)).sum())
    if not scale:
        return 0.0, 1.0
    parted = np.diff(p, append=np.inf) > 0  # rows that are equal have no order
    walk = np.append(np.cumsum(w * (y - p))[parted], 0.0)
    x = float(np.ptp(walk) / scale)
    if x < LEAST_RANGE:
        return x, 1.0
    if x > MOST_RANGE:
        return x, 0.0
    odd = (np.arange(TERMS) + 0.5) ** 2 * np.pi**2
    below = ((8 / x**2 + 2 / odd) * np.exp(-2 * odd / x**2)).sum()
    return x, float(np.clip(1 - below, 0, 1))


def equal_bins(p: Floats, n_bins: int, mass: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First place of each bin of equal mass (n,) in the order of p, and that order."""
    order = np.argsort(p, kind="stable")
    ranked, reached = p[order], np.cumsum(mass[order])
    cuts = np.arange(n_bins) * reached[-1] / n_bins
    cuts *= 1 + ROUNDING  # a sum that ends at a cut, but for its rounding, ends there
    first = np.searchsorted(reached, cuts, side="right")  # the row that a cut falls into
    return np.unique(np.searchsorted(ranked, ranked[first], side="left")), order


def checked_probabilities(probabilities: ArrayLike, clicks: ArrayLike) -> tuple[Floats, Floats]:
    """Probabilities and clicks as float64 (n,); DataError for what is none."""
    p = np.asarray(probabilities, dtype=np.float64).ravel()
    y = checked_clicks(clicks, len(p))
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("probabilities must lie between 0 and 1; were logits passed by mistake?")
    return p, y


def checked_weighted(
    probabilities: ArrayLike,
    clicks: ArrayLike,
    weights: ArrayLike | None,
    *columns: NDArray[Any],
) -> tuple[NDArray[Any], ...]:
    """Probabilities, clicks, weights and columns beside them, (n,) each, without the rows whose
    weight is 0; DataError for what is none."""
    p, y = checked_probabilities(probabilities, clicks)
    w = checked_weights(weights, len(p))
    for column in columns:
        if len(column) != len(p):
            raise DataError(
                f"there are {len(p):,} probabilities but {len(column):,} values beside them"
            )
    kept = slice(None) if w.all() else w > 0
    return tuple(rows[kept] for rows in (p, y, w, *columns))
