"""What does a layer of a click model do after its matrix product? The sweeps of `layers.fused`.

Each kernel reads rows first..last of the product h once, in order, and holds nothing of its size.
Which entries are dropped follows from a seed and the entry's place, so that the way back draws
them again instead of keeping them: byte q of a hash of both belongs to pass q.

A batch norm is a line z = a (h - p) + s a column. The pivot p is the first row: what is summed is
small where columns are far from 0.

numba compiles a kernel once a machine and number format (float32, or bfloat16 held as uint16); the
loops over columns become vector instructions.

Letters: B rows, Q passes, R rows of a gate, d width, C = R d columns of the product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

CHUNK = 256
"""Rows whose sums are one number; fixed, so that sums do not depend on the number of threads."""

U = np.uint32
ZERO = np.float32(0)
# sums may be taken in any order, but a NaN must stay one: it is how a run that diverged is noticed
OPTIONS: Any = {
    "nogil": True,
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "error_model": "numpy",
    "cache": True,
}


@njit(inline="always", **OPTIONS)
def _hash(i: Any) -> Any:
    """32 bits in which neighbours have nothing in common (a mixer of two products)."""
    i = U(i ^ U(i >> U(16)))
    i = U(i * U(0x7FEB352D))
    i = U(i ^ U(i >> U(15)))
    i = U(i * U(0x846CA68B))
    return U(i ^ U(i >> U(16)))


@njit(inline="always", **OPTIONS)
def _byte(bits: Any, q: Any) -> Any:
    return U(U(bits >> U(24 - 8 * q)) & U(255))


@njit(inline="always", **OPTIONS)
def _gate_gradient(bits: Any, threshold: Any, one: Any, other: Any, two: Any, z: Any) -> Any:
    """Gradient of z from those of the sums of one pass, or of two."""
    g = one if _byte(bits, 0) >= threshold else ZERO
    if two:
        g += other if _byte(bits, 1) >= threshold else ZERO
    return g if z > ZERO else ZERO


def _load(row: Any, c: int) -> Any:
    """Entry c of a row as float32."""


def as_in(row: Any, value: Any) -> Any:
    """A float32 in the number format of a row."""


@njit(inline="always", **OPTIONS)
def _to_bfloat16(value: Any) -> Any:
    """Rounds to the nearest, ties to even."""
    bits = np.float32(value).view(U)
    return np.uint16(U(bits + U(0x7FFF) + U(U(bits >> U(16)) & U(1))) >> U(16))


# values are put in by the kernels themselves: a store in here would keep loops from being vectors;
# numba asks that what is chosen and what chooses have the same signature, annotations included
@overload(_load, inline="always")
def _loads(row: Any, c: Any) -> Any:
    def single(row: Any, c: Any) -> Any:
        return row[c]

    def half(row: Any, c: Any) -> Any:
        return U(U(row[c]) << U(16)).view(np.float32)

    return single if isinstance(row.dtype, types.Float) else half


@overload(as_in, inline="always")
def _as_ins(row: Any, value: Any) -> Any:
    def single(row: Any, value: Any) -> Any:
        return np.float32(value)

    def half(row: Any, value: Any) -> Any:
        return _to_bfloat16(value)

    return single if isinstance(row.dtype, types.Float) else half


@njit(inline="always", **OPTIONS)
def _take(row: Any, order: Any, taken: Any) -> None:
    """taken = row[order]: in a loop of its own, or the one that needs it would be no vector."""
    for p in range(row.shape[0]):
        taken[p] = row[order[p]]


@njit(**OPTIONS)
def moments(h: Any, pivot: Any, sums: Any, squares: Any, first: int, last: int) -> None:
    """Sums of h - p and (h - p)² (chunks, C)."""
    for b in range(first, last):
        row, total, square = h[b], sums[b // CHUNK], squares[b // CHUNK]
        for c in range(row.shape[0]):
            value = _load(row, c) - pivot[c]
            total[c] += value
            square[c] += value * value


@njit(**OPTIONS)
def activate(h: Any, pivot: Any, a: Any, s: Any, seed: Any, threshold: Any, scale: Any, out: Any,
             first: int, last: int) -> None:  # fmt: skip
    """out = drop(ReLU(z)), (B, C)."""
    for b in range(first, last):
        row, to, start = h[b], out[b], U(U(b * h.shape[1]) + seed)
        for c in range(row.shape[0]):
            z = (_load(row, c) - pivot[c]) * a[c] + s[c]
            z = ZERO if z <= ZERO else z
            kept = _byte(_hash(U(start + U(c))), 0) >= threshold
            to[c] = as_in(to, z * scale if kept else ZERO)


@njit(**OPTIONS)
def activate_sums(h: Any, pivot: Any, a: Any, s: Any, seed: Any, threshold: Any, scale: Any,
                  grad: Any, sums: Any, products: Any, first: int, last: int
                  ) -> None:  # fmt: skip
    """Sums of g and g (h - p) (chunks, C), where g is the gradient of z."""
    for b in range(first, last):
        row, back, start = h[b], grad[b], U(U(b * h.shape[1]) + seed)
        total, product = sums[b // CHUNK], products[b // CHUNK]
        for c in range(row.shape[0]):
            value = _load(row, c) - pivot[c]
            g = _load(back, c) * scale  # read whatever comes of it: a branch is no vector
            g = g if _byte(_hash(U(start + U(c))), 0) >= threshold else ZERO
            g = g if value * a[c] + s[c] > ZERO else ZERO
            total[c] += g
            product[c] += g * value


@njit(**OPTIONS)
def activate_back(h: Any, pivot: Any, a: Any, s: Any, seed: Any, threshold: Any, scale: Any,
                  grad: Any, one: Any, slope: Any, three: Any, out: Any, first: int, last: int
                  ) -> None:  # fmt: skip
    """Gradient of h, (B, C): one g + slope (h - p) + three."""
    for b in range(first, last):
        row, back, to, start = h[b], grad[b], out[b], U(U(b * h.shape[1]) + seed)
        for c in range(row.shape[0]):
            value = _load(row, c) - pivot[c]
            g = _load(back, c) * scale
            g = g if _byte(_hash(U(start + U(c))), 0) >= threshold else ZERO
            g = g if value * a[c] + s[c] > ZERO else ZERO
            to[c] = as_in(to, one[c] * g + slope[c] * value + three[c])


@njit(**OPTIONS)
def gate(h: Any, x: Any, order: Any, pivot: Any, a: Any, s: Any, seed: Any, threshold: Any,
         scale: Any, gates: Any, out: Any, first: int, last: int) -> None:  # fmt: skip
    """gates (Q, B, d): Σ_r drop(ReLU(z_r)); out (Q, B, d): drop(x + x[order] gates)."""
    d = x.shape[1]
    two = gates.shape[0] == 2
    other = np.empty(d, np.float32)
    for b in range(first, last):
        start, outer = U(U(b * h.shape[1]) + seed[0]), U(U(b * d) + seed[1])
        xb, g0, g1 = x[b], gates[0, b], gates[-1, b]
        g0[:] = ZERO
        g1[:] = ZERO
        for c0 in range(0, h.shape[1], d):
            at, row, pr = U(start + U(c0)), h[b, c0 : c0 + d], pivot[c0 : c0 + d]
            ar, sr = a[c0 : c0 + d], s[c0 : c0 + d]
            if two:
                for k in range(d):
                    z = (_load(row, k) - pr[k]) * ar[k] + sr[k]
                    z = ZERO if z <= ZERO else z
                    bits = _hash(U(at + U(k)))
                    g0[k] += z if _byte(bits, 0) >= threshold else ZERO
                    g1[k] += z if _byte(bits, 1) >= threshold else ZERO
            else:
                for k in range(d):
                    z = (_load(row, k) - pr[k]) * ar[k] + sr[k]
                    z = ZERO if z <= ZERO else z
                    g0[k] += z if _byte(_hash(U(at + U(k))), 0) >= threshold else ZERO
        _take(xb, order, other)
        for q in range(gates.shape[0]):
            g, to = gates[q, b], out[q, b]
            for p in range(d):
                total = g[p] * scale
                g[p] = total
                kept = _byte(_hash(U(outer + U(p))), q) >= threshold
                y = (xb[p] + other[p] * total) * scale
                to[p] = y if kept else ZERO


@njit(**OPTIONS)
def open_gate(h: Any, x: Any, order: Any, out: Any, first: int, last: int) -> None:
    """out (B, d): x + x[order] Σ_r ReLU(h_r), the gate of a network that judges."""
    d = x.shape[1]
    gate_, other = np.empty(d, np.float32), np.empty(d, np.float32)
    for b in range(first, last):
        xb, to = x[b], out[b]
        gate_[:] = ZERO
        for c0 in range(0, h.shape[1], d):
            row = h[b, c0 : c0 + d]
            for k in range(d):
                z = _load(row, k)
                gate_[k] += ZERO if z <= ZERO else z
        _take(xb, order, other)
        for p in range(d):
            to[p] = xb[p] + other[p] * gate_[p]


@njit(**OPTIONS)
def _gate_grads(b: int, other: Any, outer: Any, threshold: Any, scale: Any, grad: Any,
                of_gates: Any) -> None:  # fmt: skip
    """Gradient (Q, d) of the sums over r, before the dropout in them, of one row x[order]."""
    for q in range(grad.shape[0]):
        back, to = grad[q, b], of_gates[q]
        for p in range(other.shape[0]):
            kept = _byte(_hash(U(outer + U(p))), q) >= threshold
            value = back[p] * scale * scale * other[p]
            to[p] = value if kept else ZERO


@njit(**OPTIONS)
def gate_sums(h: Any, x: Any, order: Any, pivot: Any, a: Any, s: Any, seed: Any, threshold: Any,
              scale: Any, grad: Any, sums: Any, products: Any, first: int, last: int
              ) -> None:  # fmt: skip
    """Sums of g and g (h - p) (chunks, C), where g is the gradient of z."""
    d = x.shape[1]
    two = grad.shape[0] == 2
    of_gates, other = np.empty((grad.shape[0], d), np.float32), np.empty(d, np.float32)
    g0, g1 = of_gates[0], of_gates[-1]
    for b in range(first, last):
        start, outer = U(U(b * h.shape[1]) + seed[0]), U(U(b * d) + seed[1])
        _take(x[b], order, other)
        _gate_grads(b, other, outer, threshold, scale, grad, of_gates)
        for c0 in range(0, h.shape[1], d):
            at, row, pr = U(start + U(c0)), h[b, c0 : c0 + d], pivot[c0 : c0 + d]
            ar, sr = a[c0 : c0 + d], s[c0 : c0 + d]
            total = sums[b // CHUNK, c0 : c0 + d]
            product = products[b // CHUNK, c0 : c0 + d]
            for k in range(d):
                value = _load(row, k) - pr[k]
                z, bits = value * ar[k] + sr[k], _hash(U(at + U(k)))
                g = _gate_gradient(bits, threshold, g0[k], g1[k], two, z)
                total[k] += g
                product[k] += g * value


@njit(**OPTIONS)
def gate_back(h: Any, x: Any, order: Any, pivot: Any, a: Any, s: Any, seed: Any, threshold: Any,
              scale: Any, grad: Any, gates: Any, one: Any, slope: Any, three: Any, of_h: Any,
              of_x: Any, first: int, last: int) -> None:  # fmt: skip
    """Gradients of h, one g + slope (h - p) + three, (B, C), and of x, (B, d)."""
    d = x.shape[1]
    two = grad.shape[0] == 2
    of_gates = np.empty((grad.shape[0], d), np.float32)
    other, met, there = np.empty(d, np.float32), np.empty(d, np.float32), np.empty(d, np.float32)
    came_from = np.argsort(order)
    g0, g1 = of_gates[0], of_gates[-1]
    for b in range(first, last):
        start, outer = U(U(b * h.shape[1]) + seed[0]), U(U(b * d) + seed[1])
        _take(x[b], order, other)
        _gate_grads(b, other, outer, threshold, scale, grad, of_gates)
        to_x = of_x[b]
        to_x[:] = ZERO
        for q in range(grad.shape[0]):
            back, gate_ = grad[q, b], gates[q, b]
            for p in range(d):
                kept = _byte(_hash(U(outer + U(p))), q) >= threshold
                of_y = back[p] * scale if kept else ZERO
                to_x[p] += of_y
                met[p] = of_y * gate_[p]
            _take(met, came_from, there)  # coordinate p meets gate came_from[p]
            for p in range(d):
                to_x[p] += there[p]
        for c0 in range(0, h.shape[1], d):
            at, row, pr = U(start + U(c0)), h[b, c0 : c0 + d], pivot[c0 : c0 + d]
            ar, sr, to = a[c0 : c0 + d], s[c0 : c0 + d], of_h[b, c0 : c0 + d]
            k1, k2, k3 = one[c0 : c0 + d], slope[c0 : c0 + d], three[c0 : c0 + d]
            for k in range(d):
                value = _load(row, k) - pr[k]
                z, bits = value * ar[k] + sr[k], _hash(U(at + U(k)))
                g = _gate_gradient(bits, threshold, g0[k], g1[k], two, z)
                to[k] = as_in(to, k1[k] * g + k2[k] * value + k3[k])
