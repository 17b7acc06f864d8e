"""Where is a function asked so that its integral is known? Clenshaw and Curtis' nodes."""

from __future__ import annotations

import numpy as np

from etalage.calibrate.calibrator import Floats


def clenshaw_curtis(n: int) -> tuple[Floats, Floats]:
    """n + 1 nodes in [-1, 1] and their weights, n even, exact for polynomials of degree n.

    >>> nodes, weights = clenshaw_curtis(4)
    >>> float((weights @ nodes**4).round(12)), float(weights.sum().round(12))
    (0.4, 2.0)
    """
    k = np.arange(n + 1)
    j = np.arange(n // 2 + 1)
    ends = np.where((j == 0) | (j == n // 2), 1.0, 2.0)
    waves = np.cos(2 * np.outer(k, j) * np.pi / n)  # (n + 1, n / 2 + 1)
    weights = (ends * waves / (1 - 4 * j**2)).sum(1) / n
    weights[1:-1] *= 2
    return np.cos(k * np.pi / n), weights
