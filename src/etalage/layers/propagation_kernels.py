"""What is the sum over the neighbours of a row? The loop of `layers.propagation`.

A row is summed by one thread, in the order of its columns, so that the number of threads changes
nothing. Four neighbours at once keep the row that is summed out of the way of memory.

Letters: P rows, Q columns of the sparse matrix, D width.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from etalage.layers.kernels import OPTIONS, ZERO


@njit(**OPTIONS)
def gather(starts: Any, columns: Any, left: Any, right: Any, x: Any, added: Any, factor: Any,
           out: Any, first: int, last: int) -> None:  # fmt: skip
    """out = f (left ⊙ Σ right[q] x[q] over the columns q of a row + added), if that has rows."""
    width, adds = x.shape[1], added.shape[0] > 0
    for p in range(first, last):
        to, entry, stop, scale = out[p], starts[p], starts[p + 1], factor * left[p]
        for c in range(width):
            to[c] = ZERO
        while entry + 4 <= stop:
            i, j, k, m = columns[entry], columns[entry + 1], columns[entry + 2], columns[entry + 3]
            xi, xj, xk, xm = x[i], x[j], x[k], x[m]
            ri, rj, rk, rm = right[i], right[j], right[k], right[m]
            for c in range(width):
                to[c] += ri * xi[c] + rj * xj[c] + rk * xk[c] + rm * xm[c]
            entry += 4
        while entry < stop:
            i = columns[entry]
            xi, ri = x[i], right[i]
            for c in range(width):
                to[c] += ri * xi[c]
            entry += 1
        if adds:
            plus = added[p]
            for c in range(width):
                to[c] = scale * to[c] + factor * plus[c]
        else:
            for c in range(width):
                to[c] *= scale
