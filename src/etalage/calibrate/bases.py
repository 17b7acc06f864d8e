"""Which shapes may a curve have besides a line? Smooth ones over the knots of scores.

Letters: n rows, M knots, K bases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etalage.calibrate.calibrator import Floats

Codes = NDArray[np.int64]
N_KNOTS = 15
TAIL = 1e-3
"""Share of the rows beyond each of the outer knots, where a value adds what it adds there."""
HALVINGS = 50
"""Of a step that slopes are lowered by."""
FLAT = 1e-6
"""Weight of a slope beside a bend, so that the first shape is the one without either."""


class Places(NamedTuple):
    """Where rows stand between knots."""

    cell: Codes  # (n,), the knot before
    share: Floats  # (n,), of the way to the next; 0 and 1 outside of all


@dataclass(frozen=True)
class Bases:
    """Knots in the logits of a curve, and smooth shapes over them."""

    knots: Floats  # (M,)
    shapes: Floats  # (M, K)

    @classmethod
    def of(cls, u: Floats, mass: Floats, n_bases: int) -> Bases:
        """K shapes that are orthonormal over rows u (n,), in rising order with weights (n,): those
        that bend least, by the sum of their squared second differences."""
        reached = np.cumsum(mass) / mass.sum()
        shares = np.concatenate([[TAIL], np.linspace(0, 1, N_KNOTS)[1:-1], [1 - TAIL]])
        knots = np.unique(u[np.searchsorted(reached, shares).clip(0, len(u) - 1)])
        if len(knots) < 3:  # too few different scores for a bend
            ends = u[0], max(u[-1], u[0] + 1e-3)
            knots = np.linspace(*ends, 3)
        slopes = np.diff(np.eye(len(knots)), axis=0) / np.diff(knots)[:, None]  # (M - 1, M)
        bends = np.diff(slopes, axis=0)
        penalty = bends.T @ bends + FLAT * slopes.T @ slopes
        hats = np.stack([np.interp(u, knots, unit) for unit in np.eye(len(knots))], 1)
        gram = (hats * (mass / mass.sum())[:, None]).T @ hats
        root = np.linalg.cholesky(gram + 1e-9 * np.eye(len(knots)))
        inverse = np.linalg.inv(root)
        _, vectors = np.linalg.eigh(inverse @ penalty @ inverse.T)
        return cls(knots, (inverse.T @ vectors)[:, :n_bases])

    def places(self, u: Floats) -> Places:
        """Where logits (n,) of the curve stand."""
        cell = np.searchsorted(self.knots, u).clip(1, len(self.knots) - 1) - 1
        share = (u - self.knots[cell]) / (self.knots[cell + 1] - self.knots[cell])
        return Places(cell, share.clip(0, 1))

    def mass(self, u: Floats, scales: Floats) -> Floats:
        """Share of the rows u (n,) with weights (n,) by knot, (M,)."""
        cell, share = self.places(u)
        n = len(self.knots)
        total = np.bincount(cell, scales * (1 - share), n)
        total += np.bincount(cell + 1, scales * share, n)
        return total / total.sum()


def directions(bases: Bases, mass: Floats) -> Floats:
    """What a shape adds to the level and to the slope of each cell, (K, M): the level is the mean
    over knots by their share `mass` (M,) of the rows."""
    slopes = np.diff(bases.shapes, axis=0) / np.diff(bases.knots)[:, None]
    return np.vstack([mass @ bases.shapes, slopes]).T


def rows_of(known: Codes, codes: Codes) -> Codes:
    """Places of codes (n,) among the known ones (V,), which rise, from 1; 0 is none of them."""
    if not len(known):
        return np.zeros_like(codes)
    places = np.searchsorted(known, codes).clip(0, len(known) - 1)
    return np.where(known[places] == codes, places + 1, 0)


def bounded(slopes: Floats, least: float) -> Floats:
    """The nearest slopes (V, cells) that are nowhere below `least`, and the same in the mean, where
    that is not below: were falls cut alone, many values together would be too steep."""
    low, high = np.zeros(len(slopes)), np.maximum(slopes.max(1, initial=least) - least, 0)
    mean = slopes.mean(1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_high = np.maximum(slopes - middle[:, None], least).mean(1) > mean
        low, high = np.where(is_high, middle, low), np.where(is_high, high, middle)
    return np.maximum(slopes - high[:, None], least)
