"""Which calibrator bears out best on rows it has not seen?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.calibrator import Calibrator
from etalage.calibrate.isotonic import SmoothIsotonic
from etalage.calibrate.platt import Platt
from etalage.calibrate.summary import LogitSummary

FEW_CLICKS = 200
"""Below this many clicks (or misses) a curve follows noise, and two numbers are all there is."""
N_FOLDS = 5


def choose(
    logits: ArrayLike,
    clicks: ArrayLike,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> Calibrator:
    """Fits the kind with the lower cross-fitted log-loss to all rows."""
    whole = LogitSummary.of(logits, clicks, weights)
    n_clicks = whole.clicks.sum()
    if min(n_clicks, whole.mass.sum() - n_clicks) < FEW_CLICKS:
        return Platt().learn(whole)
    x, labels = np.asarray(logits).ravel(), np.asarray(clicks).ravel()
    scales = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64).ravel()
    fold = rng.integers(0, N_FOLDS, len(x))
    kinds: list[type[Calibrator]] = [Platt, SmoothIsotonic]
    costs = [0.0, 0.0]
    for n in range(N_FOLDS):
        some = fold == n
        if not scales[some].any():
            continue
        unseen = LogitSummary.of(x[some], labels[some], scales[some])
        seen, rows = whole - unseen, unseen.rows()
        for k, kind in enumerate(kinds):
            z = kind().learn(seen).logit(rows.logits)
            costs[k] += float(rows.mass @ np.logaddexp(0, z) - rows.clicks @ z)
    return kinds[int(np.argmin(costs))]().learn(whole)
