"""Which monotone curve do the clicks ask for? Smoothed isotonic regression.

After SIR (Deng et al., 2020): equal-mass bins of logits, their click rates shrunk towards the
overall rate, pooled where they fall (PAVA), and joined by straight lines in logit space. Centres
of blocks are distinct and their rates rise, so no two logits are ever tied. SIR ends its curve in
(0, 0) and (1, 1); here it goes on beyond the end blocks with the slope of Platt's line, as those
blocks may hold much of the data and say nothing of its trend within them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import (
    Calibrator,
    Floats,
    checked_logits,
    checked_rows,
    log_odds,
)
from etalage.calibrate.platt import LEAST_SLOPE, logistic
from etalage.errors import NotFittedError

ROWS_OF_BIN = 200
"""Rows that a bin should have, so that its rate is worth something."""
MOST_BINS = 200
PRIOR = 1.0
"""Rows of the overall rate that are added to each bin, so that no rate is 0 or 1."""
LEAST_STEP = 1e-9
"""Points of the curve that are nearer than this, in logits, are one."""


class SmoothIsotonic(Calibrator):
    """As many numbers as the data bears: the right choice for much data and a bent distortion."""

    kind: ClassVar[str] = "isotonic"

    def __init__(self) -> None:
        self.centres = np.zeros(0)
        self.values = np.zeros(0)
        self.slope = 1.0

    def fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        x, labels, scales = checked_rows(logits, clicks, weights)
        order = np.argsort(x, kind="stable")
        x, labels, scales = x[order], labels[order], scales[order]
        n_bins = int(np.clip(len(x) // ROWS_OF_BIN, 2, MOST_BINS))
        starts = _bin_starts(x, scales, n_bins)
        mass = np.add.reduceat(scales, starts)
        centres = np.add.reduceat(scales * x, starts) / mass
        rate = (scales @ labels + 0.5) / (scales.sum() + 1)
        rates = (np.add.reduceat(scales * labels, starts) + PRIOR * rate) / (mass + PRIOR)
        block = pool_adjacent_violators(rates, mass)
        firsts = np.flatnonzero(np.diff(block, prepend=-1))
        total = np.add.reduceat(mass, firsts)
        points = np.add.reduceat(mass * centres, firsts) / total
        values = log_odds(np.add.reduceat(mass * rates, firsts) / total)
        rises = (np.diff(points, prepend=-np.inf) > LEAST_STEP) & (
            np.diff(values, prepend=-np.inf) > LEAST_STEP
        )
        self.centres, self.values = points[rises], values[rises]
        self.slope = max(logistic(centres, rates, mass)[0], LEAST_SLOPE)
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if not len(self.centres):
            raise NotFittedError("SmoothIsotonic is not fitted; call fit(logits, clicks) first")
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


def _bin_starts(x: Floats, scales: Floats, n_bins: int) -> NDArray[np.int64]:
    """First row of each equal-mass bin of sorted x; rows that are equal stay together."""
    mass = np.cumsum(scales)
    cuts = np.searchsorted(mass, mass[-1] * np.arange(n_bins) / n_bins, side="right")
    cuts = np.minimum(cuts, len(x) - 1)
    starts = np.unique(np.searchsorted(x, x[cuts], side="left"))
    starts[0] = 0
    # a bin without weight says nothing, and joins the one before it
    kept = np.add.reduceat(scales, starts) > 0
    kept[0] = True
    return starts[kept]


def pool_adjacent_violators(rates: Floats, mass: Floats) -> NDArray[np.int64]:
    """Block of each bin, int64 (bins,), in the isotonic regression of rates (PAVA).

    Block means rise strictly: equal neighbours are pooled as well.

    >>> pool_adjacent_violators(np.array([0.1, 0.4, 0.2, 0.5]), np.ones(4)).tolist()
    [0, 1, 1, 2]
    """
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
