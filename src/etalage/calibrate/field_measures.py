"""Are probabilities right for each site, user or advertiser, and not only in all?

Letters: n rows, V values of a field; value v has n_v rows, S_y(v) clicks, S_p(v) expected clicks
and V_v = Σ p (1 - p). A weight of 2 is a row that was there twice, in all of them.

- `f_ece`: (1/n) Σ_v |S_p(v) - S_y(v)| (Pan et al., 2020).
- `f_rce`: Σ_v n_v |S_p(v) - S_y(v)| / S_y(v) over rows of values with a click. Values without one
  are left out, as published, which hides what is promised there in vain: `f_rce_coverage` is the
  share of rows that count, and `f_rce_smooth` divides by S_y(v) + 1 and leaves none out.
- `_floor`: what each would be by chance if every p were right: that of Poisson clicks, times
  √(V_v / S_p). With many values of few rows it is most of the measure. `_excess` is
  √(value² - floor²), or 0.
- `mvce`: √(mean over 10 shuffles of (mean over 2,000 parts of |mean p - mean y|)²) (Huang et al.,
  2022); parts are drawn blindly, so it tells little that `pcoc` does not.
- `gc_n`: mean over values, weighted by clicks, of Cal-N = √(mean e²) over buckets of equal clicks,
  e the predicted over the observed clicks less 1, or their inverse less 1 where they are too few.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import Floats
from etalage.calibrate.measures import TINY, checked_probabilities, checked_weighted

FLOOR = float(np.sqrt(2 / np.pi))
SHUFFLES, PARTS = 10, 2000
GRID = np.geomspace(1e-8, 500, 400)
"""Expected clicks at which the noise of relative errors is computed."""


class ValueSums(NamedTuple):
    """Sums over the rows of each value, (V,)."""

    rows: Floats
    promised: Floats
    """Expected clicks."""
    clicked: Floats
    noise: Floats
    """Σ p (1 - p)."""


def value_sums(p: Floats, y: Floats, w: Floats, codes: NDArray[Any], n_values: int) -> ValueSums:
    """Sums of probabilities, clicks and weights (n,) by code (n,) from 0."""
    columns = (w, w * p, w * y, w * p * (1 - p))
    sums = (np.bincount(codes, column, n_values) for column in columns)
    return ValueSums(*(s.astype(np.float64, copy=False) for s in sums))


def field_measures(
    probabilities: ArrayLike,
    clicks: ArrayLike,
    values: ArrayLike,
    *,
    weights: ArrayLike | None = None,
) -> dict[str, float]:
    """`f_ece` and `f_rce` with all that belongs to them, over the values (n,) of a field.

    What does not apply, `f_rce` where nothing was clicked, is absent.
    """
    p, y, w, values = checked_weighted(probabilities, clicks, weights, np.asarray(values).ravel())
    known, codes = np.unique(values, return_inverse=True)
    p = np.maximum(p, TINY)
    n, promised, clicked, noise = value_sums(p, y, w, codes, len(known))
    total = n.sum()
    gap = np.abs(promised - clicked)
    plain, smooth, relative = _chance(promised) * np.sqrt(noise / promised)
    found = _with_floor("f_ece", float(gap.sum() / total), float(plain.sum() / total))
    found |= _with_floor("f_rce_smooth", float(n @ (gap / (clicked + 1)) / total),
                         float(n @ smooth / total))  # fmt: skip
    kept = clicked > 0
    if kept.any():
        rows = n[kept].sum()
        value = n[kept] @ (gap[kept] / clicked[kept]) / rows
        floor = n[kept] @ relative[kept] / rows
        found |= _with_floor("f_rce", float(value), float(floor))
        found["f_rce_coverage"] = float(rows / total)
    return found


def mvce(probabilities: ArrayLike, clicks: ArrayLike, rng: np.random.Generator) -> float:
    """Multi-view calibration error; fewer parts than rows where there are few."""
    p, y = checked_probabilities(probabilities, clicks)
    n_parts = min(PARTS, len(p))
    part = np.arange(len(p)) * n_parts // len(p)
    sizes = np.bincount(part)
    errors = [
        np.mean(np.abs(np.bincount(part, (p - y)[rng.permutation(len(p))]) / sizes)) ** 2
        for _ in range(SHUFFLES)
    ]
    return float(np.sqrt(np.mean(errors)))


def gc_n(
    probabilities: ArrayLike, clicks: ArrayLike, values: ArrayLike, n_buckets: int = 10
) -> float:
    """Grouped Cal-N; NaN where nothing was clicked. No value has more buckets than clicks."""
    p, y, _, values = checked_weighted(probabilities, clicks, None, np.asarray(values).ravel())
    p = np.maximum(p, TINY)
    _, codes = np.unique(values, return_inverse=True)
    order = np.lexsort((p, codes))
    total, weight = 0.0, 0.0
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        n_clicks = y[rows].sum()
        if n_clicks:
            total += n_clicks * _cal_n(p[rows], y[rows], min(n_buckets, int(n_clicks)))
            weight += n_clicks
    return float(total / weight) if weight else float("nan")


def _cal_n(p: Floats, y: Floats, n_buckets: int) -> float:
    """Cal-N of rows in order of p."""
    before = np.cumsum(y) - y  # clicks before a row; the click that fills a bucket ends it
    bucket = np.minimum(before * n_buckets // y.sum(), n_buckets - 1).astype(np.int64)
    promised, clicked = np.bincount(bucket, p), np.bincount(bucket, y)
    ratio = promised / clicked
    error = np.where(ratio >= 1, ratio, 1 / ratio) - 1
    return float(np.sqrt(np.mean(error**2)))


def _chance(promised: Floats) -> Floats:
    """E|S - Y|, E[|S - Y| / (Y + 1)] and E[|S - Y| / Y | Y > 0] of Poisson clicks Y around each S,
    (3, V)."""
    large = FLOOR * np.sqrt(promised)
    limits = np.stack([large, large / (promised + 1), large / promised])
    places = np.log(promised)
    return limits * np.stack([np.interp(places, np.log(GRID), row) for row in _over_limits()])


@cache
def _over_limits() -> Floats:
    """What `_chance` is on `GRID`, over what it tends to for large S, (3, grid)."""
    s, y = GRID[:, None], np.arange(1, 2 * int(GRID[-1]))
    chances = poisson(GRID, len(y) + 1)
    none, some = chances[:, 0], chances[:, 1:]
    plain = (some * np.abs(s - y)).sum(1) + none * GRID
    smooth = (some * np.abs(s - y) / (y + 1)).sum(1) + none * GRID
    relative = (some * np.abs(s - y) / y).sum(1) / some.sum(1)
    large = FLOOR * np.sqrt(GRID)
    return np.stack([plain / large, smooth / large * (GRID + 1), relative / large * GRID])


def poisson(means: Floats, n: int) -> Floats:
    """Chances of 0 to n - 1 events around each mean (S,), (S, n).

    >>> poisson(np.array([1.0]), 3).round(3).tolist()
    [[0.368, 0.368, 0.184]]
    """
    y = np.arange(float(n))
    log_factorials = np.append(0.0, np.cumsum(np.log(y[1:])))
    s = means[:, None]
    chances: Floats = np.exp(y * np.log(s) - s - log_factorials)
    return chances


def _with_floor(name: str, value: float, floor: float) -> dict[str, float]:
    excess = float(np.sqrt(max(value**2 - floor**2, 0.0)))
    return {name: value, f"{name}_floor": floor, f"{name}_excess": excess}
