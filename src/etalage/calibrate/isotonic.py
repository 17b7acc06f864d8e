"""Which monotone curve do the clicks ask for? Isotonic regression, plain and smoothed.

The plain one (Zadrozny and Elkan, 2002) pools rates where they fall (PAVA); rows of one pool are
tied. The smoothed one is after SIR (Deng et al., 2020): equal-mass bins of logits, their click
rates shrunk towards the overall rate, pooled where they fall, and joined by straight lines in logit
space. Centres of blocks are distinct and their rates rise, so no two logits are ever tied. SIR ends
its curve in (0, 0) and (1, 1); here it goes on beyond the end blocks with the slope of Platt's
line, as those blocks may hold much of the data and say nothing of its trend within them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import Calibrator, Floats, checked_logits, log_odds
from etalage.calibrate.logistic import logistic
from etalage.calibrate.platt import LEAST_SLOPE
from etalage.calibrate.summary import LogitSummary

ROWS_OF_BIN = 200
"""Rows that a bin should have, so that its rate is worth something."""
MOST_BINS = 200
PRIOR = 1.0
"""Rows of the overall rate that are added to each bin, so that no rate is 0 or 1."""
LEAST_STEP = 1e-9
"""Points of the curve that are nearer than this, in logits, are one."""
MOST_PASSES = 60
"""Passes in which falling runs are pooled all at once; what is left then is pooled one by one."""


class Isotonic(Calibrator):
    """The best curve that never falls; flat within a pool and straight between two.

    Rates are those of a pool; one that is 0 or 1 is held half a click, or half a miss, from it, and
    on its side of the middle to the next.
    """

    kind: ClassVar[str] = "isotonic"

    def __init__(self) -> None:
        self.points = np.zeros(0)
        self.rates = np.zeros(0)

    def learn(self, summary: LogitSummary) -> Self:
        x, clicks, mass = summary.rows()
        block = pool_adjacent_violators(clicks / mass, mass)
        firsts = np.flatnonzero(np.diff(block, prepend=-1))
        lasts = np.append(firsts[1:], len(x)) - 1
        total = np.add.reduceat(mass, firsts)
        rates = _inside(np.add.reduceat(clicks, firsts) / total, total)
        # both ends of each pool, or the one row that it is
        ends = np.column_stack([firsts, lasts]).ravel()
        kept = np.diff(ends, prepend=-1) > 0
        self.points = x[ends[kept]]
        self.rates = np.repeat(rates, 2)[kept]
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if not len(self.points):
            raise self.not_fitted()
        return log_odds(np.interp(checked_logits(logits), self.points, self.rates))

    def to_dict(self) -> dict[str, Any]:
        points, rates = self.points.tolist(), self.rates.tolist()
        return {"kind": self.kind, "points": points, "rates": rates}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        curve = cls()
        curve.points = np.array(facts["points"], dtype=np.float64)
        curve.rates = np.array(facts["rates"], dtype=np.float64)
        both = np.stack([curve.points, curve.rates])
        if both.ndim != 2 or not both.size or not np.isfinite(both).all():
            raise ValueError("the curve has no points, or some are not finite")
        inside = (curve.rates > 0) & (curve.rates < 1)
        if not ((np.diff(curve.points) > 0).all() and (np.diff(curve.rates) >= 0).all()):
            raise ValueError("the curve falls")
        if not inside.all():
            raise ValueError("a rate is not between 0 and 1")
        return curve


class SmoothIsotonic(Calibrator):
    """As many numbers as the data bears: the right choice for much data and a bent distortion."""

    kind: ClassVar[str] = "smooth_isotonic"

    def __init__(self) -> None:
        self.centres = np.zeros(0)
        self.values = np.zeros(0)
        self.slope = 1.0

    def learn(self, summary: LogitSummary) -> Self:
        x, clicks, scales = summary.rows()
        n_rows = scales.sum()
        n_bins = int(np.clip(n_rows // ROWS_OF_BIN, 2, MOST_BINS))
        starts = bin_starts(scales, n_bins)
        mass = np.add.reduceat(scales, starts)
        centres = np.add.reduceat(scales * x, starts) / mass
        rate = (clicks.sum() + 0.5) / (n_rows + 1)
        rates = (np.add.reduceat(clicks, starts) + PRIOR * rate) / (mass + PRIOR)
        block = pool_adjacent_violators(rates, mass)
        firsts = np.flatnonzero(np.diff(block, prepend=-1))
        total = np.add.reduceat(mass, firsts)
        points = np.add.reduceat(mass * centres, firsts) / total
        values = log_odds(np.add.reduceat(mass * rates, firsts) / total)
        rises = (np.diff(points, prepend=-np.inf) > LEAST_STEP) & (
            np.diff(values, prepend=-np.inf) > LEAST_STEP
        )
        self.centres, self.values = points[rises], values[rises]
        (slope,), _ = logistic(centres[:, None], rates, mass)
        self.slope = max(float(slope), LEAST_SLOPE)
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if not len(self.centres):
            raise self.not_fitted()
        x = checked_logits(logits)
        below = np.minimum(x - self.centres[0], 0)
        above = np.maximum(x - self.centres[-1], 0)
        return np.interp(x, self.centres, self.values) + self.slope * (below + above)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "centres": self.centres.tolist(),
            "values": self.values.tolist(),
            "slope": self.slope,
        }

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        curve = cls()
        curve.centres = np.array(facts["centres"], dtype=np.float64)
        curve.values = np.array(facts["values"], dtype=np.float64)
        curve.slope = float(facts["slope"])
        points = np.stack([curve.centres, curve.values])  # (2, blocks)
        if points.ndim != 2 or not points.size or not np.isfinite(points).all():
            raise ValueError("the curve has no points, or some are not finite")
        if not (np.diff(points) > 0).all() or not 0 < curve.slope < np.inf:
            raise ValueError("the curve does not rise everywhere")
        return curve


def _inside(rates: Floats, mass: Floats) -> Floats:
    """Rising rates (pools,) of which the first is not 0 and the last not 1."""
    half = 0.5 / (mass + 1)
    first, last = rates[0], rates[-1]
    found = rates.copy()
    if len(rates) == 1:
        return np.clip(rates, half, 1 - half) if first in (0, 1) else found
    if first == 0:
        found[0] = min(half[0], rates[1] / 2)
    if last == 1:
        found[-1] = 1 - min(half[-1], (1 - rates[-2]) / 2)
    return found


def bin_starts(mass: Floats, n_bins: int) -> NDArray[np.int64]:
    """First row of each of `n_bins` stretches of about equal weight; fewer where rows are heavy."""
    reached = np.cumsum(mass)
    cuts = np.searchsorted(reached, reached[-1] * np.arange(n_bins) / n_bins, side="right")
    return np.unique(np.minimum(cuts, len(mass) - 1))


def pool_adjacent_violators(rates: Floats, mass: Floats) -> NDArray[np.int64]:
    """Block of each bin, int64 (bins,), in the isotonic regression of rates (PAVA).

    Block means rise strictly: equal neighbours are pooled as well. Runs that fall belong to one
    block whatever else is in it, so they are pooled all at once, again and again.

    >>> pool_adjacent_violators(np.array([0.1, 0.4, 0.2, 0.5]), np.ones(4)).tolist()
    [0, 1, 1, 2]
    """
    block = np.arange(len(rates))
    sums, weights = rates * mass, mass
    for _ in range(MOST_PASSES):
        means = sums / weights
        rises = np.diff(means, prepend=-np.inf) > 0
        if rises.all():
            return block
        starts = np.flatnonzero(rises)
        block = (np.cumsum(rises) - 1)[block]
        sums, weights = np.add.reduceat(sums, starts), np.add.reduceat(weights, starts)
    return _pooled_one_by_one(sums / weights, weights)[block]


def _pooled_one_by_one(rates: Floats, mass: Floats) -> NDArray[np.int64]:
    sizes: list[int] = []
    masses: list[float] = []
    means: list[float] = []
    for rate, weight in zip(rates.tolist(), mass.tolist(), strict=True):
        sizes.append(1)
        masses.append(weight)
        means.append(rate)
        while len(means) > 1 and means[-2] >= means[-1]:
            size, weight, mean = sizes.pop(), masses.pop(), means.pop()
            total = masses[-1] + weight
            means[-1] = (means[-1] * masses[-1] + mean * weight) / total
            masses[-1] = total
            sizes[-1] += size
    return np.repeat(np.arange(len(sizes)), sizes)
