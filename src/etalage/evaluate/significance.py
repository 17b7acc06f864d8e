"""How sure are we? Intervals of means, paired tests, and what many tests cost.

Letters: Q queries, R resamples, M models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.errors import DataError
from etalage.evaluate.classification import auc, mid_ranks

Floats = NDArray[np.float64]
DRAWN_AT_ONCE = 2**22
MANY = 10_000
"""From so many values on, the bootstrap of their mean is its normal limit, which costs nothing."""
Z = 1.959964  # 97.5 % of the normal


def interval(
    values: Floats, rng: np.random.Generator, n_resamples: int = 1000
) -> tuple[float, float]:
    """95 % interval of the mean of values (Q,) over resampled queries.

    Below 10,000 values a percentile bootstrap, from there on its normal limit, mean ± 1.96 s/√Q.
    """
    low, high = _intervals(np.asarray(values, np.float64)[None], rng, n_resamples)
    return float(low[0]), float(high[0])


def auc_interval(scores: ArrayLike, clicks: ArrayLike) -> tuple[float, float]:
    """95 % interval of the AUC by DeLong's variance (DeLong et al., 1988), on the logit scale.

    That variance is 0 where the AUC is 1 or 0; there the far end is the area that would show
    itself so in one of 40 samples, .025^(1/m) of the m clicks or misses, whichever are fewer: m
    disjoint pairs would all have to be in order. With a single click (or miss) nothing is known
    of how clicks differ, and the interval is from 0 to 1.
    """
    x, y = np.asarray(scores, np.float64).ravel(), np.asarray(clicks).ravel()
    area = auc(x, y)
    fewer = int(min((y == 1).sum(), (y != 1).sum()))
    if np.isnan(area):
        return area, area
    if fewer == 1:
        return 0.0, 1.0
    if area in (0.0, 1.0):
        reach = 0.025 ** (1 / fewer)
        return (reach, 1.0) if area else (0.0, 1 - reach)
    # of each row: the share of the other kind that it stands right to
    whole = mid_ranks(x, np.zeros(len(x), np.int64))
    within = mid_ranks(x, (y == 1).astype(np.int64))
    n_clicks, n_misses = int((y == 1).sum()), int((y != 1).sum())
    right = np.where(y == 1, (whole - within) / n_misses, 1 - (whole - within) / n_clicks)
    variance = sum(right[y == c].var(ddof=1) / (y == c).sum() for c in (0, 1))
    reach = Z * np.sqrt(variance) / (area * (1 - area))
    middle = np.log(area / (1 - area))
    low, high = (1 / (1 + np.exp(-(middle + side * reach))) for side in (-1, 1))
    return float(low), float(high)


def runs_interval(values: ArrayLike) -> tuple[float, float]:
    """95 % interval of the mean of a few independent runs (R,), R > 1, by Student's t.

    It holds for other seeds on the same data, and says nothing of other data.
    """
    from scipy.special import stdtrit

    x = np.asarray(values, np.float64).ravel()
    if len(x) < 2:
        raise DataError(f"the spread of {len(x)} run is unknown; take more seeds")
    reach = stdtrit(len(x) - 1, 0.975) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean() - reach), float(x.mean() + reach)


@dataclass(frozen=True)
class Comparison:
    """Two models on the same queries; `difference` is the mean of a - b."""

    a: str
    b: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    """p after Holm's correction for all comparisons made together."""


def compare(
    values: Mapping[str, Floats],
    rng: np.random.Generator,
    pairs: Sequence[tuple[str, str]] | None = None,
    n_resamples: int = 2000,
) -> list[Comparison]:
    """Compares models by one value a query each (Q,), in all pairs or in those given.

    p is that of a paired sign-flip test: under the hypothesis of no difference each query's
    difference may as well have the other sign. The interval is that of `interval`.
    """
    pairs = list(combinations(values, 2)) if pairs is None else list(pairs)
    if not pairs:
        return []
    sizes = {len(v) for v in values.values()}
    if len(sizes) != 1:
        raise DataError(f"models were judged on different numbers of queries: {sorted(sizes)}")
    floats = {name: np.asarray(v, np.float64) for name, v in values.items()}
    gaps = np.stack([floats[a] - floats[b] for a, b in pairs])
    low, high = _intervals(gaps, rng, n_resamples)
    p = sign_flip(gaps, rng, n_resamples)
    columns = np.column_stack([gaps.mean(1), low, high, p, holm(p)]).tolist()
    n = gaps.shape[1]
    return [Comparison(a, b, n, *row) for (a, b), row in zip(pairs, columns, strict=True)]


def sign_flip(gaps: Floats, rng: np.random.Generator, n_resamples: int = 2000) -> Floats:
    """Two-sided p of each row of differences (M, Q): (1 + as extreme) / (1 + resamples)."""
    n = gaps.shape[1]
    found = np.abs(gaps.sum(1))
    extreme = np.zeros(len(gaps))
    step = max(DRAWN_AT_ONCE // max(n, 1), 1)
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        bits = np.unpackbits(rng.integers(0, 256, (rows, -(-n // 8)), np.uint8), axis=1)[:, :n]
        # Σ ±d = 2 Σ_(+) d - Σ d, which needs the bits alone
        flipped = 2 * (bits.astype(np.float32) @ gaps.T.astype(np.float32)) - gaps.sum(1)
        extreme += (np.abs(flipped) >= found * (1 - 1e-5) - 1e-12).sum(0)
    return (1 + extreme) / (1 + n_resamples)


def holm(p: Floats) -> Floats:
    """Holm's step-down correction (1979) of p-values (M,).

    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def _intervals(values: Floats, rng: np.random.Generator, n_resamples: int) -> tuple[Floats, Floats]:
    """Low and high ends, (M,) each, of the means of rows (M, Q)."""
    n = values.shape[1]
    if not n:
        raise DataError("there are no queries to resample; the interval of nothing is unknown")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values).all(0)).sum())
        raise DataError(
            f"{bad:,} of {n:,} queries have no finite value; leave out, for every model alike, "
            "the queries that a metric does not apply to"
        )
    if n >= MANY:
        means, reach = values.mean(1), Z * values.std(1, ddof=1) / np.sqrt(n)
        return means - reach, means + reach
    low, high = np.quantile(_resampled_means(values, rng, n_resamples), [0.025, 0.975], axis=1)
    return low, high


def _resampled_means(values: Floats, rng: np.random.Generator, n_resamples: int) -> Floats:
    """Means of rows (M, Q) over bootstrap resamples of the columns, (M, R)."""
    n = values.shape[1]
    means = np.empty((len(values), n_resamples))
    step = max(DRAWN_AT_ONCE // n, 1)
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        draws = rng.integers(0, n, (rows, n))
        for row in range(rows):
            counts = np.bincount(draws[row], minlength=n)
            means[:, start + row] = values @ counts / n
    return means
