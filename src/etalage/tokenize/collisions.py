"""How does every item get an id of its own? Equals are spread over last codes that are near.

Zero-collision reassignment (after arXiv 2605.25330): inside a prefix of L - 1 codes whose items
collide, items and last codes are matched at the least sum of squared distances, each code once.
What does not fit moves to the nearest prefix that has room. No level is added and none grows.
Letters: N items, M new items, D width, L levels, V codes of the last level, n items of a prefix.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from etalage.errors import DataError
from etalage.tokenize.kmeans import checked_vectors
from etalage.tokenize.quantizer import Quantizer
from etalage.tokenize.semantic_ids import SemanticIds

Prefix = tuple[int, ...]


@dataclass(frozen=True)
class Reassignment:
    """Ids that no two items share, and what that cost."""

    ids: SemanticIds
    n_changed: int
    """Items whose id is not what the quantiser said."""
    distortion_before: float
    """Mean squared distance of vectors from what their codes stand for."""
    distortion_after: float


def reassign(
    codes: NDArray[np.int32], quantizer: Quantizer, vectors: NDArray[np.float32]
) -> Reassignment:
    """Makes the codes int32 (N, L) of vectors (N, D) distinct.

    Items of a prefix without a collision keep their codes. DataError when there are more items than
    ids.
    """
    vectors = checked_vectors(vectors)
    if codes.shape != (len(vectors), quantizer.n_levels):
        raise DataError(
            f"codes must be of shape {(len(vectors), quantizer.n_levels)}, a row for each vector; "
            f"got {codes.shape}"
        )
    _, whole, size = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    _, prefix = np.unique(codes[:, :-1], axis=0, return_inverse=True)
    prefix = prefix.ravel()  # without a column there is one prefix
    collides = np.isin(prefix, prefix[size[whole.ravel()] > 1])  # (N,)
    ids = codes.copy()
    ids[collides] = _place(
        ids[~collides], ids[collides, :-1], quantizer, quantizer.sizes, vectors[collides]
    )
    return Reassignment(
        SemanticIds(ids, quantizer.sizes),
        int((ids != codes).any(1).sum()),
        _distortion(quantizer, codes, vectors),
        _distortion(quantizer, ids, vectors),
    )


def append(ids: SemanticIds, quantizer: Quantizer, vectors: NDArray[np.float32]) -> SemanticIds:
    """Ids of a catalogue followed by those of new items with the vectors float32 (M, D).

    A new item goes to a last code that is free, as near to its own as there is; the ids that are
    there stay, and so do the sizes of the levels. With the extra level of `SemanticIds.distinct`
    it takes a number that is free. DataError when there are more items than ids.
    """
    prefixes = quantizer.encode(vectors)[:, : ids.n_levels - 1]
    new = _place(ids.codes, prefixes, quantizer, ids.sizes, vectors)
    return SemanticIds(np.concatenate([ids.codes, new]), ids.sizes)


def _place(
    taken: NDArray[np.int32],
    prefixes: NDArray[np.int32],
    quantizer: Quantizer,
    sizes: tuple[int, ...],
    vectors: NDArray[np.float32],
) -> NDArray[np.int32]:
    """Codes (M, L) of items with prefixes (M, L - 1) and vectors (M, D) beside codes (T, L)."""
    room = math.prod(sizes)
    if len(taken) + len(vectors) > room:
        raise DataError(
            f"{len(taken) + len(vectors):,} items need ids, and levels of {sizes} codes have only "
            f"{room:,}; fit a quantiser with more codes or levels"
        )
    last = sizes[-1]
    codes = np.column_stack([prefixes, np.full(len(prefixes), -1)]).astype(np.int32)
    if not len(codes):
        return codes
    distinct, group = np.unique(prefixes, axis=0, return_inverse=True)
    ordered = np.argsort(group.ravel(), kind="stable")
    families = np.split(ordered, np.cumsum(np.bincount(group.ravel()))[:-1])
    used: dict[Prefix, set[int]] = {}
    for row in taken.tolist():
        used.setdefault(tuple(row[:-1]), set()).add(row[-1])
    for prefix, items in zip(map(tuple, distinct.tolist()), families, strict=True):
        mine = used.setdefault(prefix, set())
        free = np.setdiff1d(np.arange(last), list(mine))
        rows, columns = linear_sum_assignment(_costs(quantizer, prefix, free, vectors[items]))
        codes[items[rows], -1] = free[columns]
        mine.update(free[columns].tolist())
    tree = _Rooms(used, sizes)
    for item in np.flatnonzero(codes[:, -1] < 0):
        x = vectors[item : item + 1]
        prefix = tree.nearest(tuple(prefixes[item].tolist()), quantizer, x)
        mine = used.setdefault(prefix, set())
        free = np.setdiff1d(np.arange(last), list(mine))
        code = int(free[_costs(quantizer, prefix, free, x)[0].argmin()])
        codes[item] = (*prefix, code)
        mine.add(code)
        tree.add(prefix)
    return codes


class _Rooms:
    """How many ids below each prefix are taken, and where the nearest is that has one left."""

    def __init__(self, used: dict[Prefix, set[int]], sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self.taken: Counter[Prefix] = Counter()
        for prefix, codes in used.items():
            for depth in range(len(prefix) + 1):
                self.taken[prefix[:depth]] += len(codes)

    def add(self, prefix: Prefix) -> None:
        for depth in range(len(prefix) + 1):
            self.taken[prefix[:depth]] += 1

    def nearest(self, wanted: Prefix, quantizer: Quantizer, x: NDArray[np.float32]) -> Prefix:
        """A prefix with room that shares as many codes with `wanted` as any, and is near to x."""
        depth = len(wanted)
        while not self._has_room(wanted[:depth]):
            depth -= 1
        stem = wanted[:depth]
        while len(stem) < len(wanted):
            able = [c for c in range(self.sizes[len(stem)]) if self._has_room((*stem, c))]
            stem += (able[int(_costs(quantizer, stem, np.array(able), x)[0].argmin())],)
        return stem

    def _has_room(self, stem: Prefix) -> bool:
        return self.taken[stem] < math.prod(self.sizes[len(stem) :])


def _costs(
    quantizer: Quantizer, stem: Prefix, codes: NDArray[np.integer], x: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Squared distance of x (n, D) from `stem` followed by each of codes (v,): (n, v).

    For residual codes that is the distance of a residual from a row of the last codebook.
    """
    tails = np.empty((len(codes), len(stem) + 1), dtype=np.int32)
    tails[:, :-1], tails[:, -1] = stem, codes
    points = quantizer.decode(tails).astype(np.float64)
    wide = x.astype(np.float64)
    apart = (wide**2).sum(1)[:, None] + (points**2).sum(1) - 2 * (wide @ points.T)
    return np.maximum(apart, 0)


def _distortion(
    quantizer: Quantizer, codes: NDArray[np.int32], vectors: NDArray[np.float32]
) -> float:
    return float(((vectors - quantizer.decode(codes)) ** 2).sum(dtype=np.float64) / len(vectors))
