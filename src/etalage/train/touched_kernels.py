"""How are millions of rows brought up to date at once? By one sweep each, where they lie.

The equations are those of `train.touched.catch_up`, which is what runs where numba is not. What
depends on steps alone is computed once for a run of rows that are owed the same, and most are; the
numbers of a run lie side by side, whatever the width.

Letters: V rows, D width.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from etalage.layers.kernels import OPTIONS, ZERO, U

F = np.float32
ONE, THREE = F(1), F(3)
RUN = 1024
"""Numbers of a run at most."""
LOG2_E, LN_2, LOWEST = F(1 / math.log(2)), F(math.log(2)), F(-87)


@njit(inline="always", **OPTIONS)
def _exp(x: Any) -> Any:
    """e^x of x <= 0 to seven digits: a vector instruction a step, which a library call is not."""
    x = x if x > LOWEST else LOWEST
    whole = np.floor(x * LOG2_E + F(0.5))
    r = x - whole * LN_2  # |r| <= ln(2) / 2
    series = ONE + r * (ONE + r * (F(1 / 2) + r * (F(1 / 6) + r * (F(1 / 24) + r * (
        F(1 / 120) + r * F(1 / 720))))))  # fmt: skip
    return series * U(U(np.int32(whole) + np.int32(127)) << U(23)).view(np.float32)


@njit(**OPTIONS)
def _tail(t: float, s: float, kept1: float, beta1: float) -> tuple[float, float]:
    age = 1 / (1 - beta1) - s * kept1 / (1 - kept1)
    spent = beta1 / (1 - beta1) * (1 - kept1)
    return spent / -math.expm1((t + age) * math.log(beta1)), age


@njit(**OPTIONS)
def _kept(t: float, steps: float, beta2: float) -> float:
    log2 = math.log(beta2)
    return math.exp(steps * log2) / -math.expm1((t + steps) * log2)


@njit(inline="always", **OPTIONS)
def _end_of_run(since: Any, i: int, last: int, width: int) -> int:
    """First row after i that is not owed the same, or is too far for a run to stay in the cache."""
    j, end = i + 1, min(last, i + max(RUN // width, 1))
    while j < end and since[j] == since[i]:
        j += 1
    return j


@njit(**OPTIONS)
def coast(w: Any, m: Any, v: Any, since: Any, until: int, rate: float, betas: Any, eps: float,
          first: int, last: int) -> None:  # fmt: skip
    """Rows first..last of w, m, v (V, D) over steps without a gradient."""
    beta1, beta2 = betas
    width = w.shape[1]
    wf, mf, vf, small = w.reshape(-1), m.reshape(-1), v.reshape(-1), F(eps)
    i = first
    while i < last:
        j = _end_of_run(since, i, last, width)
        t = float(since[i])
        s = until - t
        if s > 0:
            kept1, kept2 = math.exp(s * math.log(beta1)), math.exp(s * math.log(beta2))
            tail, age = _tail(t, s, kept1, beta1)
            by, kept = F(tail * rate), F(_kept(t, age, beta2))
            to1, to2 = F(kept1), F(kept2)
            run = slice(i * width, j * width)
            wr, mr, vr = wf[run], mf[run], vf[run]
            for e in range(wr.shape[0]):
                wr[e] -= mr[e] * by / (np.sqrt(vr[e] * kept) + small)
                mr[e] *= to1
                vr[e] *= to2
        i = j


@njit(**OPTIONS)
def pull(w: Any, m: Any, v: Any, since: Any, until: int, rate: float, decay: float, betas: Any,
         eps: float, bounds: Any, first: int, last: int) -> None:  # fmt: skip
    """Rows first..last of w, m, v (V, D) over steps whose gradient is `decay` times w."""
    beta1, beta2 = betas
    log1, log2 = math.log(beta1), math.log(beta2)
    width, steps = w.shape[1], np.empty(3)
    wf, mf, vf = w.reshape(-1), m.reshape(-1), v.reshape(-1)
    weight, small = F(decay), F(eps)
    i = first
    while i < last:
        j = _end_of_run(since, i, last, width)
        t = float(since[i])
        owed = until - t
        run = slice(i * width, j * width)
        wr, mr, vr = wf[run], mf[run], vf[run]
        steps[0] = min(owed / 3, bounds[0])
        steps[1] = min((owed - steps[0]) / 2, bounds[1])
        steps[2] = owed - steps[0] - steps[1]
        for n in range(3 if owed > 0 else 0):
            s = steps[n]
            kept1, kept2 = math.exp(s * log1), math.exp(s * log2)
            tail, _ = _tail(t, s, kept1, beta1)
            lag = beta1 / (1 - beta1) * (1 - s * kept1 / beta1 + (s - 1) * kept1)
            early1, early2 = F(math.expm1(t * log1)), F(math.expm1(t * log2))
            kept, by, shrink = F(_kept(t, s / 2 + 0.5, beta2)), F(tail * rate), F(-s * rate * decay)
            to1, to2, behind = F(1 - kept1), F(1 - kept2), F(((s - 1) * (1 - kept1) - lag) / s)
            for e in range(wr.shape[0]):
                before = wr[e] * weight
                square = before * before
                amid = (vr[e] + square * early2) * kept + square
                root = np.sqrt(amid if amid > ZERO else ZERO) + small
                moved = (mr[e] + before * early1) * by / root
                moment = mr[e] + (before - mr[e]) * to1
                there = (wr[e] - moved) * _exp(shrink / root)
                after = there * weight
                wr[e], mr[e] = there, moment + (after - before) * behind
                squares = (square + before * after + after * after) / THREE
                vr[e] += (squares - vr[e]) * to2
            t += s
        i = j
