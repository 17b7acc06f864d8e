"""How are the fields of many rows read at once, where nothing learns? One sweep for all three
things that a network wants of them; apart, each reads or writes every vector once more.

Letters: B rows, N fields, D width, V rows of a table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from etalage.layers.kernels import OPTIONS, ZERO, as_in


@njit(**OPTIONS)
def read_at_once(codes: Any, starts: Any, table: Any, weights: Any, fields: Any, terms: Any,
                 pairs: Any) -> None:  # fmt: skip
    """Reads whole codes (B, N), each field's from its start (N,) on, 0 where unknown.

    fields (B, N D), float32 or bfloat16: vectors of a table (V, D); terms (B,): weights (V,) added
    up, where there are any; pairs (B,): Σ_{i<j} <v_i, v_j>.
    """
    (n_rows, width), n_fields = table.shape, codes.shape[1]
    total = np.empty(width, np.float32)
    # as they are, first: loads that wait for nothing go side by side, and the loop over all columns
    # is one of long vectors
    row = np.empty(n_fields * width, np.float32)
    for b in range(len(codes)):
        total[:] = ZERO
        term = squares = square = ZERO
        for n in range(n_fields):
            code = codes[b, n]
            place = code + starts[n] if code > 0 else code
            if place < 0 or place >= n_rows:
                raise IndexError("a code is out of range")
            for d in range(width):
                row[n * width + d] = table[place, d]
            if len(weights) > 0:
                term += weights[place]
        to = fields[b]
        for c in range(n_fields * width):
            squares += row[c] * row[c]
            to[c] = as_in(to, row[c])
        for n in range(n_fields):
            for d in range(width):
                total[d] += row[n * width + d]
        for d in range(width):
            square += total[d] * total[d]
        terms[b] = term
        pairs[b] = (square - squares) / 2
