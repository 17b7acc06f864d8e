"""Do the clicks come as often as they were promised? Rates of rows of like probability.

Intervals are Wilson's. For rows that do not depend on one another a bootstrap gives the same, but
too little where a bin has few clicks, and nothing where it has none. Rows of a game or of a user do
depend, and by Wilson's interval they tell too much. With clusters, a bin counts for as many rows as
a bootstrap over whole clusters c would have it: the variance of its clicks is

    Σ_c (clicks of c - rate · rows of c)²,

what infinitely many draws would give, so none is drawn.

Letters: n rows, K bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import Floats
from etalage.calibrate.measures import TINY, checked_weighted, equal_bins


@dataclass(frozen=True)
class Bin:
    """Rows of like probability; the true rate lies between `low` and `high` with a chance of 95 %,
    or of the level that was asked for."""

    predicted: float
    observed: float
    low: float
    high: float
    count: float
    """Weight of its rows."""


def reliability(
    probabilities: ArrayLike,
    clicks: ArrayLike,
    n_bins: int = 15,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> list[Bin]:
    """Bins of probabilities, in rising order, each with as much to tell of its rate.

    They hold equal Σ p (1 - p): equal clicks, as far as p is right, where clicks are rare, and
    whatever was clicked does not move their edges. There are fewer than asked where many are equal.

    Args:
        probabilities: (n,).
        clicks: (n,), each 0 or 1.
        n_bins: how many bins to make.
        weights: (n,), none negative; a row of 2 was there twice.
        clusters: (n,) codes of what rows belong to; rows of different ones are independent.
        level: chance that an interval holds its rate; 1 - 0.05 / n_bins is one for a whole curve,
            all of which then lies in its band with 95 % (Bonferroni).
    """
    columns = () if clusters is None else (np.asarray(clusters).ravel(),)
    p, y, w, *codes = checked_weighted(probabilities, clicks, weights, *columns)
    starts, order = equal_bins(p, n_bins, w * np.maximum(p * (1 - p), TINY))
    counts = np.add.reduceat(w[order], starts)
    predicted = np.add.reduceat((w * p)[order], starts) / counts
    observed = np.add.reduceat((w * y)[order], starts) / counts
    worth = counts
    if codes:
        bins = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(p)))
        errors, noise = y[order] - observed[bins], counts * observed * (1 - observed)
        worth = counts / design_effect(codes[0][order], bins, errors, w[order], noise)
    low, high = wilson(observed, worth, level)
    rows = (predicted, observed, low, high, counts)
    return [Bin(*row) for row in zip(*(c.tolist() for c in rows), strict=True)]


def design_effect(
    clusters: NDArray[Any],
    groups: NDArray[np.integer],
    errors: Floats,
    weights: Floats,
    noise: Floats,
) -> Floats:
    """Variance of the clicks of each group over that of as many independent rows, (K,), at least 1.

    It is the group's own, or that of all groups together where that is more: few clicks have had no
    chance to fall into the same cluster. That of all is at most what it would be if the rows of a
    cluster were one row.

    Args:
        clusters: (n,) codes of what rows belong to.
        groups: (n,) codes from 0 to K - 1.
        errors: (n,) y less the rate that the group has, so that they sum to 0 in each group.
        weights: (n,), above 0.
        noise: (K,) variance if rows were independent.
    """
    n_groups = len(noise)
    _, codes = np.unique(clusters, return_inverse=True)
    pairs, at = np.unique(codes * n_groups + groups, return_inverse=True)
    of = pairs % n_groups  # groups of the pairs of a cluster and a group
    parts = np.bincount(of, minlength=n_groups)
    sizes = np.bincount(at, weights)
    most = np.bincount(of, sizes**2, n_groups) / np.bincount(of, sizes, n_groups)
    squares = np.bincount(of, np.bincount(at, weights * errors) ** 2, n_groups)
    variance = squares * parts / np.maximum(parts - 1, 1)
    tells = (parts > 1) & (noise > 0)
    own = np.divide(variance, noise, out=np.zeros(n_groups), where=tells)
    pooled = variance[tells].sum() / noise[tells].sum() if tells.any() else np.inf
    return np.maximum(np.maximum(own, np.minimum(pooled, most)), 1.0)


def wilson(rate: Floats, count: NDArray[Any], level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's interval of rates over counts."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    wide = 1 + z**2 / count
    middle = (rate + z**2 / (2 * count)) / wide
    reach = z / wide * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)
