"""Which straight line in a few columns do the clicks ask for? Logistic regression, small and exact.

Letters: n rows, C columns.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from etalage.calibrate.calibrator import Floats, sigmoid

MOST_ROUNDS = 100
RIDGE = 1e-10
"""Share of the weight of all rows that holds Newton's matrix up where rows say nothing."""


def logistic(
    columns: Floats, targets: Floats, scales: Floats, offset: Floats | float = 0.0
) -> tuple[Floats, float]:
    """Coefficients (C,) and intercept of logistic regression of targets in [0, 1], (n,).

    Newton's method with halved steps; where columns part the targets entirely, and no largest
    coefficient exists, it stops at a large one.

    Args:
        columns: (n, C).
        targets: (n,).
        scales: weights, (n,).
        offset: logits to begin with, (n,).
    """
    total = scales.sum()
    # standardised, so that Newton's matrix is well behaved whatever the scale of the columns
    middle = scales @ columns / total  # (C,)
    spread = deviation(columns, scales)
    x = np.column_stack([(columns - middle) / spread, np.ones(len(columns))])  # (n, C + 1)
    beta = np.zeros(x.shape[1])
    cost = _cost(x @ beta + offset, targets, scales)
    for _ in range(MOST_ROUNDS):
        p = sigmoid(x @ beta + offset)
        slope = x.T @ (scales * (p - targets))
        curve = (x * (scales * p * (1 - p))[:, None]).T @ x + RIDGE * total * np.eye(len(beta))
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while (new := _cost(x @ (beta - size * step) + offset, targets, scales)) > cost:
            size /= 2
            if size < 1e-6:
                break
        beta = beta - size * step
        if cost - new < 1e-12 * total:
            break
        cost = new
    found = beta[:-1] / spread
    return found, float(beta[-1] - found @ middle)


def rising(
    columns: Floats, targets: Floats, scales: Floats, offset: Floats | float = 0.0
) -> tuple[Floats, float]:
    """As `logistic`, with no coefficient below 0: of all sets of columns that may be left out, the
    one that fits best. The problem is convex, so that is the best there is."""
    n_columns = columns.shape[1]
    best, least = (np.zeros(n_columns), 0.0), np.inf
    for n in range(n_columns, -1, -1):
        for kept in map(list, combinations(range(n_columns), n)):
            some, intercept = logistic(columns[:, kept], targets, scales, offset)
            if (some < 0).any():
                continue
            cost = _cost(columns[:, kept] @ some + intercept + offset, targets, scales)
            if cost < least:
                found = np.zeros(n_columns)
                found[kept] = some
                best, least = (found, intercept), cost
        if n == n_columns and least < np.inf:
            break  # nothing has to be left out
    return best


def deviation(columns: Floats, scales: Floats) -> Floats:
    """Standard deviation of each column, (C,); 1 where all rows are alike."""
    middle = scales @ columns / scales.sum()
    spread = np.sqrt(scales @ (columns - middle) ** 2 / scales.sum())
    # told apart from a deviation that is only rounding
    alike = np.ptp(columns, axis=0) == 0 if len(columns) else np.ones(columns.shape[1], bool)
    return np.where(alike | (spread == 0), 1.0, spread)


def _cost(values: Floats, targets: Floats, scales: Floats) -> float:
    return float(scales @ (np.logaddexp(0, values) - targets * values))
