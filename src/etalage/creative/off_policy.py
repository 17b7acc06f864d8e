"""What would another way to choose have earned? Told from a log of choices with propensities.

Each estimate is of the clicks a view that a target policy would get. All need a propensity above
0 wherever the target's is, which the floor of the selector sees to. Intervals are normal limits:
of logs with some twenty clicks that count they hold the truth in 92 of 100, not 95.

Letters: n logged views, K creatives; w = target / propensity of what was shown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.errors import DataError
from etalage.evaluate.significance import Z

Floats = NDArray[np.float64]
NONE_SEEN = 3.0
"""With no click in m views the rate is below 3 / m, at 95 %."""


class Estimate(NamedTuple):
    """Clicks a view of a target policy, with a 95 % interval, mean ± 1.96 standard errors."""

    value: float
    low: float
    high: float
    effective_views: float
    """(Σw)² / Σw²: how many views of the target itself the log is worth."""


def inverse_propensity(clicks: ArrayLike, propensities: ArrayLike, target: ArrayLike) -> Estimate:
    """Mean of w·click (Horvitz & Thompson, 1952): unbiased, and wide where propensities are small.

    Args:
        clicks: of each view, from 0 to 1 (n,).
        propensities: of what was shown, as it was chosen (n,), above 0.
        target: probability with which the target would have shown it (n,).

    >>> inverse_propensity([1, 0, 1, 0], [0.5] * 4, [1, 0, 0, 1]).value
    0.5

    Raises:
        DataError: for other shapes or values, or fewer than two views.
    """
    y, w = _checked(clicks, propensities, target)
    return _about(w * y, w, y)


def self_normalised(clicks: ArrayLike, propensities: ArrayLike, target: ArrayLike) -> Estimate:
    """Σ w·click / Σ w (Hajek, 1971): a little biased, and never above the greatest reward.

    The interval is by the delta method. Arguments and errors as of `inverse_propensity`; where
    nothing that was shown is of the target, there is no estimate, which is an error too.
    """
    y, w = _checked(clicks, propensities, target)
    if not w.any():
        raise DataError("the target would have shown nothing that the log shows; log for longer")
    value = float((w * y).sum() / w.sum())
    found = _about(value + w * (y - value) / w.mean(), w, y)
    return found._replace(value=value)


def doubly_robust(
    clicks: ArrayLike,
    propensities: ArrayLike,
    target: ArrayLike,
    shown: ArrayLike,
    target_all: ArrayLike,
    expected: ArrayLike,
) -> Estimate:
    """Σₖ target·expected, mended by w·(click - expected) of what was shown (Dudík et al., 2011).

    Unbiased whatever `expected` is, as long as no view's own click went into its row; the better
    it is, the narrower the interval.

    Args:
        clicks: of each view, from 0 to 1 (n,).
        propensities: of what was shown (n,), above 0.
        target: probability with which the target would have shown it (n,).
        shown: number of the creative that was shown (n,), from 0 to K - 1.
        target_all: probability of every creative under the target (n, K); rows sum to 1.
        expected: a click model's probability for every creative (n, K).

    Raises:
        DataError: for other shapes or values, or fewer than two views.
    """
    y, w = _checked(clicks, propensities, target)
    k = np.asarray(shown)
    pi, q = np.asarray(target_all, np.float64), np.asarray(expected, np.float64)
    if pi.ndim != 2 or pi.shape != q.shape or len(pi) != len(y) or k.shape != y.shape:
        raise DataError(
            f"target_all has shape {pi.shape}, expected {q.shape} and shown {k.shape}; the first "
            f"two are (n, K) and shown is (n,), with {len(y)} views"
        )
    if k.dtype.kind not in "iu" or k.min() < 0 or k.max() >= pi.shape[1]:
        raise DataError(f"shown holds no whole numbers from 0 to {pi.shape[1] - 1}")
    if not np.isfinite(q).all():
        raise DataError("expected holds values that are not finite")
    if not (np.allclose(pi.sum(axis=1), 1, atol=1e-6) and pi.min() >= 0):
        raise DataError("rows of target_all are no probabilities that sum to 1")
    rows = np.arange(len(y))
    if not np.allclose(pi[rows, k], np.asarray(target, np.float64), atol=1e-6):
        raise DataError("target is not what target_all has for the creatives shown")
    return _about((pi * q).sum(axis=1) + w * (y - q[rows, k]), w, y)


def _about(values: Floats, w: Floats, y: Floats) -> Estimate:
    """The mean of values (n,) and its interval."""
    n, mean = len(values), float(values.mean())
    reach = Z * float(values.std(ddof=1)) / np.sqrt(n)
    high = mean + reach
    if not y.any():  # no click has no spread, which does not make the rate 0
        high = max(high, NONE_SEEN * float(w.max()) / n)
    squares = float((w**2).sum())
    return Estimate(mean, mean - reach, high, float(w.sum()) ** 2 / squares if squares else 0.0)


def _checked(
    clicks: ArrayLike, propensities: ArrayLike, target: ArrayLike
) -> tuple[Floats, Floats]:
    """Clicks and w, (n,) each."""
    y, p, pi = (np.asarray(a, np.float64) for a in (clicks, propensities, target))
    if y.ndim != 1 or not y.shape == p.shape == pi.shape or len(y) < 2:
        raise DataError(
            f"clicks, propensities and target have shapes {y.shape}, {p.shape} and {pi.shape}; "
            "give one number each for at least two views"
        )
    for name, values in (("clicks", y), ("propensities", p), ("target", pi)):
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1 + 1e-9):
            raise DataError(f"{name} holds values that are not between 0 and 1")
    if p.min() <= 0:
        raise DataError(
            f"view {int(p.argmin())} was shown with a propensity of 0, so the log says nothing "
            "about it; keep a floor when choosing"
        )
    return y, pi / p
