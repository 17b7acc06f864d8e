"""Which calibrator bears out best on rows it has not seen?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.calibrator import Calibrator, checked_rows
from etalage.calibrate.isotonic import SmoothIsotonic
from etalage.calibrate.platt import Platt

FEW_CLICKS = 200
"""Below this many clicks (or misses) a curve follows noise, and two numbers are all there is."""
N_FOLDS = 5


def choose(logits: ArrayLike, clicks: ArrayLike, rng: np.random.Generator) -> Calibrator:
    """Fits the kind with the lower cross-fitted log-loss to all rows."""
    x, labels, _ = checked_rows(logits, clicks)
    if min(labels.sum(), (1 - labels).sum()) < FEW_CLICKS:
        return Platt().fit(x, labels)
    fold = rng.integers(0, N_FOLDS, len(x))
    kinds: list[type[Calibrator]] = [Platt, SmoothIsotonic]
    costs = [0.0, 0.0]
    for n in range(N_FOLDS):
        seen, unseen = fold != n, fold == n
        for k, kind in enumerate(kinds):
            z = kind().fit(x[seen], labels[seen]).logit(x[unseen])
            costs[k] += float((np.logaddexp(0, z) - labels[unseen] * z).sum())
    return kinds[int(np.argmin(costs))]().fit(x, labels)
