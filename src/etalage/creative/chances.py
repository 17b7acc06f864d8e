"""Which creative is the best one, as far as its clicks tell? The chance of each, integrated.

With Beta beliefs, Thompson sampling shows creative k with the chance that its draw is the largest,
∫ f_k(t) Π_{j≠k} F_j(t) dt. In logits t = log(x / (1 - x)) every density is smooth, so panels of
Gauss-Legendre nodes give it to eight digits or more, and no chance is estimated by draws.

Letters: K creatives, P panels, G nodes in a panel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.errors import DataError

Floats = NDArray[np.float64]
G = 12
LEAST = 0.01
"""Counts below it make tails so long that panels for them say nothing of a click rate."""
TAIL = 40.0
"""Panels end where a density has fallen by about exp(-40)."""
GROWTH = 1.25


def _rule() -> tuple[Floats, Floats, Floats]:
    """Nodes (G,) and weights (G,) on [-1, 1], and the integrals (G, G) from -1 to each node."""
    nodes, weights = np.polynomial.legendre.leggauss(G)
    powers = np.arange(G)
    values = np.polynomial.legendre.legvander(nodes, G - 1)  # (G, G) of P_n at the nodes
    to_series = np.linalg.inv(values)
    rising = [np.polynomial.legendre.legint(np.eye(G)[n], lbnd=-1) for n in powers]
    integrals = np.array([np.polynomial.legendre.legval(nodes, series) for series in rising]).T
    return nodes, weights, integrals @ to_series


NODES, WEIGHTS, UP_TO = _rule()


def best_chances(clicked: ArrayLike, missed: ArrayLike) -> Floats:
    """Chance (K,) that each of K independent Beta(clicked, missed) draws is the largest; sums to 1.

    >>> best_chances([1, 2], [1, 1]).round(6).tolist()
    [0.333333, 0.666667]

    Raises:
        DataError: unless both have one shape (K,), K >= 1, of finite numbers of at least 0.01.
    """
    a, b = np.asarray(clicked, np.float64), np.asarray(missed, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise DataError(
            f"clicked has shape {a.shape} and missed {b.shape}; both need one count a creative"
        )
    both = np.stack([a, b])
    if not (np.isfinite(both).all() and both.min() >= LEAST):
        raise DataError(f"counts of a Beta belief are finite and at least {LEAST}; give a prior")
    if len(a) == 1:
        return np.ones(1)
    edges = _edges(a, b)
    half = np.diff(edges)[:, None] / 2  # (P, 1)
    t = edges[:-1, None] + half * (1 + NODES)  # (P, G)
    density = np.exp(_log_density(a, b, t))  # (K, P, G)
    panels = half[:, 0] * (density @ WEIGHTS)  # (K, P)
    before = np.cumsum(panels, axis=1) - panels
    below = before[..., None] + half * (density @ UP_TO.T)
    below = np.clip(below, 0, 1)
    chances = np.array(
        [(density[k] * _others(below, k) * half * WEIGHTS).sum() for k in range(len(a))]
    )
    found: Floats = chances / chances.sum()
    return found


def _others(below: Floats, k: int) -> Floats:
    product: Floats = np.delete(below, k, axis=0).prod(axis=0)
    return product


def _log_density(a: Floats, b: Floats, t: Floats) -> Floats:
    """Log density of the logit of a Beta: a log x + b log(1 - x) - log B(a, b), (K, P, G)."""
    norm = [math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y) for x, y in zip(a, b, strict=True)]
    found: Floats = (
        -a[:, None, None] * np.logaddexp(0, -t)
        - b[:, None, None] * np.logaddexp(0, t)
        - np.array(norm)[:, None, None]
    )
    return found


def _edges(a: Floats, b: Floats) -> Floats:
    """Edges (P + 1,) of panels, fine about each density's peak and wider further out."""
    found = []
    for x, y in zip(a, b, strict=True):
        peak, width = math.log(x / y), min(1.0, math.sqrt((x + y) / (x * y)))
        far = TAIL * max(width, 1 / min(x, y))
        steps = [0.0]
        while steps[-1] < far:
            steps.append(max(steps[-1] + width, steps[-1] * GROWTH))
        found.append(peak + np.array(steps))
        found.append(peak - np.array(steps))
    edges: Floats = np.unique(np.concatenate(found))
    return edges
