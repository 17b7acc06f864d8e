"""How well are clicks told from misses? Measures over impressions.

Letters: n rows, G groups.

- `auc`: chance that a click outscores a miss, ties worth a half (mid-ranks).
- `gauc`: AUC within each group (a person), averaged by rows; groups with only clicks or only
  misses say nothing and are left out.
- `rig`: relative information gain, 1 - log-loss / entropy of the overall rate; 0 for a model that
  always says that rate, 1 for one that always knows. The normalised entropy (NE) is 1 - `rig`.

Log-loss itself stands with the measures of probabilities, in `etalage.calibrate.measures`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import checked_clicks
from etalage.calibrate.measures import log_loss
from etalage.errors import DataError


def auc(scores: ArrayLike, clicks: ArrayLike) -> float:
    """Area under the ROC curve; NaN where all rows are alike."""
    x, y = _checked(scores, clicks)
    n_clicks = y.sum()
    n_misses = len(y) - n_clicks
    if not n_clicks or not n_misses:
        return float("nan")
    ranks = mid_ranks(x, np.zeros(len(x), np.int64))
    return float((ranks[y == 1].sum() - n_clicks * (n_clicks + 1) / 2) / (n_clicks * n_misses))


def gauc(scores: ArrayLike, clicks: ArrayLike, groups: ArrayLike) -> tuple[float, float]:
    """AUC within groups (n,), weighted by rows, and the share of rows that it rests on."""
    x, y = _checked(scores, clicks)
    group = np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(group) != len(x):
        raise DataError(f"there are {len(x):,} scores but {len(group):,} groups")
    ranks = mid_ranks(x, group)
    n_rows = np.bincount(group)
    n_clicks = np.bincount(group, weights=y)
    n_misses = n_rows - n_clicks
    told = (n_clicks > 0) & (n_misses > 0)
    if not told.any():
        return float("nan"), 0.0
    sums = np.bincount(group, weights=ranks * y)
    above = (sums - n_clicks * (n_clicks + 1) / 2)[told]
    areas = above / (n_clicks * n_misses)[told]
    return float(np.average(areas, weights=n_rows[told])), float(n_rows[told].sum() / len(x))


def rig(probabilities: ArrayLike, clicks: ArrayLike) -> float:
    """Relative information gain over the overall rate; NaN where all rows are alike."""
    loss = log_loss(probabilities, clicks)
    rate = float(np.asarray(clicks, dtype=np.float64).mean())
    if rate in (0.0, 1.0):
        return float("nan")
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    return float(1 - loss / entropy)


def mid_ranks(x: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rank of each row within its group, from 1; equal rows share the mean of their ranks."""
    order = np.argsort(x)  # equal rows in any order
    order = order[np.argsort(group[order], kind="stable")]
    ranked, of_group = x[order], group[order]
    starts_tie = np.ones(len(x), dtype=bool)
    starts_tie[1:] = (ranked[1:] != ranked[:-1]) | (of_group[1:] != of_group[:-1])
    first = np.flatnonzero(starts_tie)
    size = np.diff(first, append=len(x))
    tie = np.cumsum(starts_tie) - 1
    place = first + (size + 1) / 2  # mean of the 1-based places of a tie
    ranks = np.empty(len(x))
    ranks[order] = place[tie] - np.searchsorted(of_group, of_group)
    return ranks


def _checked(
    scores: ArrayLike, clicks: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = np.asarray(scores, dtype=np.float64).ravel()
    y = checked_clicks(clicks, len(x))
    if np.isnan(x).any():
        raise DataError(f"{int(np.isnan(x).sum()):,} of {len(x):,} scores are NaN")
    return x, y
