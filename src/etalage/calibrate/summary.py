"""What must be kept of a billion impressions to calibrate them? Counts of them, by logit.

65,536 bins of logits hold rows, clicks and the sum of their logits. Everything that maps all rows
alike is fitted from that: one pass over the rows, and milliseconds for each fit. Summaries add up,
so shards, days and streams do; with whole weights the sums are of whole numbers, and their order
changes nothing.

Letters: n rows, K bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import LEAST, Floats, checked_rows
from etalage.errors import DataError

K = 1 << 16
REACH = 16.0
"""Bins lie evenly between -16 and 16; the outer two hold what lies beyond."""
PER_LOGIT = K / (2 * REACH)
GRAIN = float(1 << 24)
"""Places in a bin are kept in steps of so many a bin, whose sums are exact up to 5e8 rows."""
NUMBERS = "biuf"
"""Kinds of arrays whose values can be compared as they are."""
ROUNDING = 1e-13
"""Share of the heaviest bin below which a weight is no row."""
CHUNK = 1 << 18
"""Rows taken at once, so that what is made of them stays in the cache."""


class Rows(NamedTuple):
    """Bins that hold something, as rows with weights; logits rise."""

    logits: Floats
    """Mean logit, (bins,)."""
    clicks: Floats
    """Weight of the rows that were clicked."""
    mass: Floats
    """Weight of all rows."""

    def labelled(self) -> tuple[Floats, Floats, Floats]:
        """Logits, clicks and weights (2 bins,): each bin once as clicked and once as not."""
        came = np.repeat([1.0, 0.0], len(self.mass))
        return np.tile(self.logits, 2), came, np.append(self.clicks, self.mass - self.clicks)


def _nothing() -> Floats:
    return np.zeros(K)


@dataclass(eq=False)
class LogitSummary:
    """Rows, clicks and mean logit by bin of the logit; summaries of parts add up to that of all.

    >>> whole = LogitSummary.of([-1.0, 0.5], [0, 1]) + LogitSummary.of([0.5], [0])
    >>> whole.rows().mass.tolist(), whole.rows().clicks.tolist()
    ([1.0, 2.0], [0.0, 1.0])
    """

    mass: Floats = field(default_factory=_nothing)
    clicks: Floats = field(default_factory=_nothing)
    places: Floats = field(default_factory=_nothing)
    """Sum over a bin's rows of their distance from its left end, in steps of 1 / `GRAIN` bins."""

    @classmethod
    def of(
        cls, logits: ArrayLike, clicks: ArrayLike, weights: ArrayLike | None = None
    ) -> LogitSummary:
        """Summarises logits (n,), clicks 0 or 1 (n,) and weights (n,), 1 where there are none."""
        return cls().add(logits, clicks, weights)

    def add(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        kept_misses: float = 1.0,
    ) -> Self:
        """Adds rows, in place.

        Args:
            logits: (n,), finite.
            clicks: (n,), each 0 or 1.
            weights: (n,), none negative; a weight of 2 is a row that was there twice, so they
                should be 1 in the mean: all that is shrunk is shrunk by how much there is.
            kept_misses: share of the misses that the log and the ranker's training kept. Logits
                move by its logarithm, and each miss stands for as many as it was drawn from; what
                is fitted is then for logits + log(kept_misses), in serving too.

        Raises:
            DataError: for a number that is none, another click, or blocks of unequal length.
        """
        x, y = np.asarray(logits).ravel(), np.asarray(clicks).ravel()
        scales = None if weights is None else np.asarray(weights, dtype=np.float64).ravel()
        if not 0 < kept_misses <= 1:
            raise DataError(f"kept_misses={kept_misses} must be above 0 and at most 1")
        shift = math.log(kept_misses)
        if not len(x) and not len(y):
            return self
        if len(x) != len(y) or not _are_weights(scales, len(x)):
            checked_rows(x, y, scales)  # says what is wrong
        if x.dtype.kind not in NUMBERS or y.dtype.kind not in NUMBERS:
            x, y, _ = checked_rows(x, y)
        found = [np.zeros(K) for _ in range(3)]
        for start in range(0, len(x), CHUNK):
            some = slice(start, start + CHUNK)
            part, clicked = x[some].astype(np.float64), y[some]
            is_click = clicked == 1
            if not (np.isfinite(part).all() and (is_click | (clicked == 0)).all()):
                checked_rows(x, y, scales)
            weight = None if scales is None else scales[some]
            if kept_misses != 1:
                drawn = np.where(is_click, 1.0, 1 / kept_misses)
                weight = drawn if weight is None else drawn * weight
                part += shift
            _put(found, part, is_click, weight)
        self.mass += found[0]
        self.clicks += found[1]
        self.places += found[2]
        return self

    def __add__(self, other: LogitSummary) -> LogitSummary:
        return LogitSummary(
            self.mass + other.mass, self.clicks + other.clicks, self.places + other.places
        )

    def __sub__(self, other: LogitSummary) -> LogitSummary:
        """What is left without rows that were added before: a window that slides."""
        return LogitSummary(
            self.mass - other.mass, self.clicks - other.clicks, self.places - other.places
        )

    def scaled(self, factor: float) -> LogitSummary:
        """The same rows, each worth `factor` as much: what is older decays."""
        return LogitSummary(factor * self.mass, factor * self.clicks, factor * self.places)

    def rows(self) -> Rows:
        """The bins that hold something; DataError where none does."""
        most = self.mass.max()
        held = np.flatnonzero(self.mass > ROUNDING * most)  # what was taken away leaves rounding
        if not most > 0:
            raise DataError("the summary holds no rows; expected at least one impression")
        mass = self.mass[held]
        logits = (held + self.places[held] / (GRAIN * mass)) / PER_LOGIT - REACH
        return Rows(logits, np.clip(self.clicks[held], 0, mass), mass)


def _put(
    found: list[Floats], x: Floats, is_click: NDArray[np.bool_], weight: Floats | None
) -> None:
    """Adds a chunk to mass, clicks and places."""
    np.clip(x, LEAST, -LEAST, out=x)
    x += REACH
    x *= PER_LOGIT
    bins = np.clip(x, 0, K - 1).astype(np.int64)
    x -= bins
    x *= GRAIN
    np.floor(x, out=x)  # never that of the next bin
    if weight is None:
        both = np.bincount(2 * bins + is_click, minlength=2 * K)
        misses, clicked = both[::2], both[1::2]
    else:
        x *= weight
        clicked = np.bincount(bins, weight * is_click, minlength=K)
        misses = np.bincount(bins, weight * ~is_click, minlength=K)
    found[0] += misses + clicked
    found[1] += clicked
    found[2] += np.bincount(bins, x, minlength=K)


def _are_weights(scales: Floats | None, n_rows: int) -> bool:
    if scales is None:
        return True
    return len(scales) == n_rows and bool((scales >= 0).all()) and 0 < scales.sum() < math.inf
