"""How near to the truth does a calibrator come? Scores whose true probabilities are known.

Letters: n rows, V values of a field.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etalage.calibrate.calibrator import Floats, sigmoid

N_VALUES = 2000


N_PAIRED, N_TASTES = 100, 3


class Scores(NamedTuple):
    """Rows of a ranker."""

    logits: Floats  # (n,)
    clicks: NDArray[np.int8]  # (n,)
    values: NDArray[np.int64]  # (n,) of one field, or (n, F)
    truth: Floats
    """True logits, (n,)."""


def distorted(
    seed: int, *, own_shapes: bool = False, n_rows: int = 400_000
) -> tuple[Scores, Scores]:
    """Rows to learn from and as many others, with values whose frequency falls by Zipf's law.

    The true logit is a_v l + b_v + 0.35 sin(1.7 l), or a_v l + b_v + c_v sin(1.7 l + φ_v) where
    values have shapes of their own: a_v ~ N(.85, .15), b_v ~ N(-.2, .45), c_v ~ |N(.35, .25)| and
    φ_v even; l ~ N(-3.2 + u_v, 1), u_v ~ N(0, .6). About 9 % are clicks.
    """
    rng, n = np.random.default_rng(seed), 2 * n_rows
    often = np.arange(1, N_VALUES + 1) ** -1.05
    values = rng.choice(N_VALUES, n, p=often / often.sum())
    slopes, levels = rng.normal(0.85, 0.15, N_VALUES), rng.normal(-0.2, 0.45, N_VALUES)
    logits = rng.normal(-3.2 + rng.normal(0, 0.6, N_VALUES)[values], 1)
    size, phase = np.full(N_VALUES, 0.35), np.zeros(N_VALUES)
    if own_shapes:
        size = np.abs(rng.normal(0.35, 0.25, N_VALUES))
        phase = rng.uniform(0, 2 * np.pi, N_VALUES)
    bent = size[values] * np.sin(1.7 * logits + phase[values])
    truth = slopes[values] * logits + levels[values] + bent
    return _halves(rng, logits, values, truth)


def paired(seed: int, *, n_rows: int = 400_000) -> tuple[Scores, Scores]:
    """The same with two fields of 100 values, whose effect is that of both together.

    The true logit is 0.85 l - 0.2 + 0.35 sin(1.7 l) + b_v + b_w + t_v·t_w, with b ~ N(0, .3) and
    tastes t of 3 numbers, each product N(0, .5) in all.
    """
    rng, n = np.random.default_rng(seed), 2 * n_rows
    values = rng.integers(0, N_PAIRED, (n, 2))
    logits = rng.normal(-3.2, 1, n)
    levels = rng.normal(0, 0.3, (2, N_PAIRED))
    tastes = rng.normal(0, (0.5 / N_TASTES**0.5) ** 0.5, (2, N_PAIRED, N_TASTES))
    one, other = tastes[0, values[:, 0]], tastes[1, values[:, 1]]
    truth = 0.85 * logits - 0.2 + 0.35 * np.sin(1.7 * logits) + (one * other).sum(1)
    truth += levels[0, values[:, 0]] + levels[1, values[:, 1]]
    return _halves(rng, logits, values, truth)


def _halves(
    rng: np.random.Generator, logits: Floats, values: NDArray[np.int64], truth: Floats
) -> tuple[Scores, Scores]:
    clicks = (rng.random(len(truth)) < sigmoid(truth)).astype(np.int8)
    half = len(truth) // 2
    one, other = (
        Scores(logits[s], clicks[s], values[s], truth[s]) for s in (slice(half), slice(half, None))
    )
    return one, other
