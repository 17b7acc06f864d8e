"""How are millions of rows brought up to date at once? By sweeps over memory.

The equations are those of `train.touched.catch_up`, which is what runs where numba is not. What
depends on steps alone, a plan, is computed once for all rows that are owed the same.

Letters: V rows of a table, D width, U rows that a batch reads.
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
NEAR = 64
"""Rows that are copied before they are moved."""
LOG2_E, LN_2, LOWEST = F(1 / math.log(2)), F(math.log(2)), F(-87)


@njit(inline="always", **OPTIONS)
def _exp(x: Any) -> Any:
    """e^x of x <= 0 to seven digits: a vector instruction a step, which a library call is not."""
    x = LOWEST if x < LOWEST else x
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


@njit(**OPTIONS)
def _plan(t: float, until: float, rule: Any, plan: Any) -> None:
    """What moves rows that are paid up to step t to step `until`, whatever their numbers: a line of
    `plan` (3, 8) a part, and the first alone where there is no L2."""
    rate, decay, (beta1, beta2), _, bounds = rule
    log1, log2 = math.log(beta1), math.log(beta2)
    owed = until - t
    if not decay:
        kept1 = math.exp(owed * log1)
        tail, age = _tail(t, owed, kept1, beta1)
        plan[0, 0], plan[0, 1] = _kept(t, age, beta2), tail * rate
        plan[0, 2], plan[0, 3] = kept1, math.exp(owed * log2)
        return
    early = min(owed / 3, bounds[0])
    middle = min((owed - early) / 2, bounds[1])
    for n, s in enumerate((early, middle, owed - early - middle)):
        kept1, kept2 = math.exp(s * log1), math.exp(s * log2)
        tail, _ = _tail(t, s, kept1, beta1)
        lag = beta1 / (1 - beta1) * (1 - s * kept1 / beta1 + (s - 1) * kept1)
        plan[n, 0], plan[n, 1] = _kept(t, s / 2 + 0.5, beta2), tail * rate
        plan[n, 2], plan[n, 3] = 1 - kept1, 1 - kept2
        plan[n, 4], plan[n, 5] = math.expm1(t * log1), math.expm1(t * log2)
        plan[n, 6], plan[n, 7] = -s * rate * decay, ((s - 1) * (1 - kept1) - lag) / s
        t += s


@njit(inline="always", **OPTIONS)
def _move(w: Any, m: Any, v: Any, rule: Any, plan: Any) -> None:
    """Moves numbers w, m, v (n,) as planned."""
    weight, small = F(rule[1]), F(rule[3])
    if weight == ZERO:
        kept, by, to1, to2 = plan[0, 0], plan[0, 1], plan[0, 2], plan[0, 3]
        for e in range(w.shape[0]):
            w[e] -= m[e] * by / (np.sqrt(v[e] * kept) + small)
            m[e] *= to1
            v[e] *= to2
        return
    for n in range(3):
        kept, by, to1, to2 = plan[n, 0], plan[n, 1], plan[n, 2], plan[n, 3]
        early1, early2, shrink, behind = plan[n, 4], plan[n, 5], plan[n, 6], plan[n, 7]
        for e in range(w.shape[0]):
            before = w[e] * weight
            square = before * before
            amid = (v[e] + square * early2) * kept + square
            root = np.sqrt(ZERO if amid <= ZERO else amid) + small  # a NaN must stay one
            moved = (m[e] + before * early1) * by / root
            moment = m[e] + (before - m[e]) * to1
            there = (w[e] - moved) * _exp(shrink / root)
            after = there * weight
            w[e], m[e] = there, moment + (after - before) * behind
            squares = (square + before * after + after * after) / THREE
            v[e] += (squares - v[e]) * to2


@njit(**OPTIONS)
def sweep(w: Any, m: Any, v: Any, since: Any, until: int, rule: Any, part: Any) -> None:
    """Brings rows of w, m, v (V, D) up to date where they lie; `part` is the first and the last."""
    first, last = part
    width, plan = w.shape[1], np.empty((3, 8), np.float32)
    wf, mf, vf = w.reshape(-1), m.reshape(-1), v.reshape(-1)
    i = first
    while i < last:  # runs of rows that are owed the same, short enough to stay in the cache
        j, end = i + 1, min(last, i + max(RUN // width, 1))
        while j < end and since[j] == since[i]:
            j += 1
        if since[i] < until:
            _plan(float(since[i]), float(until), rule, plan)
            run = slice(i * width, j * width)
            _move(wf[run], mf[run], vf[run], rule, plan)
        i = j


@njit(**OPTIONS)
def fetch(w: Any, m: Any, v: Any, rows: Any, since: Any, oldest: int, until: int, rule: Any,
          to: Any, part: Any) -> None:  # fmt: skip
    """Copies rows of w, m, v into lines of `to`, three of (U, D), up to date."""
    width, (w_to, m_to, v_to), (first, last) = w.shape[1], to, part
    is_planned = np.zeros(until - oldest + 1, np.bool_)
    plans = np.empty((len(is_planned), 3, 8), np.float32)
    for start in range(first, last, NEAR):
        stop = min(start + NEAR, last)
        for u in range(start, stop):  # many rows are on their way from memory at once
            row = rows[u]
            for e in range(width):
                w_to[u, e], m_to[u, e], v_to[u, e] = w[row, e], m[row, e], v[row, e]
        for u in range(start, stop):
            t = since[rows[u]]
            if t < until:
                plan = plans[t - oldest]
                if not is_planned[t - oldest]:
                    _plan(float(t), float(until), rule, plan)
                    is_planned[t - oldest] = True
                _move(w_to[u], m_to[u], v_to[u], rule, plan)


@njit(**OPTIONS)
def put(w: Any, m: Any, v: Any, rows: Any, of: Any, part: Any) -> None:
    """Copies lines of `of`, three of (U, D), to rows of w, m, v."""
    width, (w_of, m_of, v_of), (first, last) = w.shape[1], of, part
    for u in range(first, last):
        row = rows[u]
        for e in range(width):
            w[row, e], m[row, e], v[row, e] = w_of[u, e], m_of[u, e], v_of[u, e]
