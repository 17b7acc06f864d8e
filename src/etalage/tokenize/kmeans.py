"""Which K points stand for all of them? The one k-means that every quantiser here is made of.

Distances are matrix products over blocks of items, so memory is bounded by the block, and a
catalogue beyond SAMPLE items a code is learned from a part of it. Same seed, same bytes.
Letters: N items, D width, K codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError
from etalage.seeds import generator

Vectors = NDArray[np.float32]
BLOCK = 4096
"""Items whose (BLOCK, K) distances are held at once."""
SAMPLE = 256
"""Items a code that are learned from; of a larger catalogue a part is drawn."""


def kmeans(x: Vectors, n_codes: int, n_iterations: int, rng: np.random.Generator) -> Vectors:
    """Lloyd's rounds from a k-means++ start; the codebook, float32 (K, D).

    Every code that has items among the vectors float32 (N, D) is their mean, so a codebook never
    makes the error larger than one point would.
    """
    book = _far_apart(x, n_codes, rng)
    before = None
    for _ in range(n_iterations):
        codes, distances = nearest(x, book)
        counts = np.bincount(codes, minlength=n_codes)  # (K,)
        used, empty = np.flatnonzero(counts), np.flatnonzero(counts == 0)
        book[used] = sums_of(x, codes, n_codes)[used] / counts[used, None]
        # a code without items moves to one of the items that fare worst
        worst = np.argsort(-distances, kind="stable")[: len(empty)]
        worst = worst[distances[worst] > 0]
        book[empty[: len(worst)]] = x[worst]
        if before is not None and np.array_equal(codes, before):
            break
        before = codes
    return book


def sample_of(vectors: Vectors, n_codes: int, seed: int) -> Vectors:
    """A copy of the vectors that K codes are learned from: all, or SAMPLE * K drawn by the seed.

    A mean of 256 items moves little when more are added.
    """
    if len(vectors) <= SAMPLE * n_codes:
        return vectors.copy()
    drawn = generator(seed, "sample").choice(len(vectors), SAMPLE * n_codes, replace=False)
    return vectors[np.sort(drawn)]


def nearest(vectors: Vectors, book: Vectors) -> tuple[NDArray[np.int64], Vectors]:
    """The nearest row of a codebook (K, D) to each vector, int64 (N,), and its squared distance."""
    codes = np.empty(len(vectors), dtype=np.int64)
    distances = np.empty(len(vectors), dtype=np.float32)
    norms = (book * book).sum(1)  # (K,)
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        x = vectors[rows]
        apart = norms - 2 * (x @ book.T)  # (block, K), short of |x|^2, which all codes share
        code = apart.argmin(1)
        codes[rows] = code
        distances[rows] = apart[np.arange(len(x)), code] + np.einsum("nd,nd->n", x, x)
    return codes, np.maximum(distances, 0)


def sums_of(x: Vectors, codes: NDArray[np.integer], n_codes: int) -> NDArray[np.float64]:
    """The sum of the vectors of each code, float64 (K, D), one code after the other."""
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(n_codes + 1))
    sums = np.zeros((n_codes, x.shape[1]))
    for code in np.flatnonzero(np.diff(edges)):
        sums[code] = x[order[edges[code] : edges[code + 1]]].sum(0, dtype=np.float64)
    return sums


def _far_apart(x: Vectors, n_codes: int, rng: np.random.Generator) -> Vectors:
    """Greedy k-means++ (Arthur and Vassilvitskii, 2007): starts drawn by squared distance.

    The best of 2 + log K drawn is kept, which is what residuals need: most are short, and a start
    drawn once is an outlier too often. When the distinct vectors run out, the rest of the codes
    are copies that no item will use.
    """
    n_drawn = 2 + int(np.log(n_codes))
    norms = np.einsum("nd,nd->n", x, x)
    chosen: list[int] = []
    apart = np.full(len(x), np.inf)
    for draws in rng.random((n_codes, n_drawn)):
        if chosen:
            edges = np.cumsum(apart, dtype=np.float64)
            drawn = np.searchsorted(edges, draws * edges[-1], "right")
        else:
            drawn = (draws[:1] * len(x)).astype(np.int64)
        drawn = np.minimum(drawn, len(x) - 1)
        scale = norms[:, None] + norms[drawn]
        gap = scale - 2 * (x @ x[drawn].T)  # (N, drawn)
        # what rounding leaves between equal vectors is no distance
        gap[gap < 1e-6 * scale] = 0
        left = np.minimum(apart[:, None], gap)
        best = int(left.sum(0, dtype=np.float64).argmin())
        chosen.append(int(drawn[best]))
        apart = left[:, best]
    return x[chosen].copy()


def checked_vectors(vectors: Vectors, width: int | None = None) -> Vectors:
    """Returns vectors float32 (N, D); DataError when they are empty, not finite or another D."""
    array = np.asarray(vectors)
    if array.ndim != 2 or array.dtype != np.float32 or 0 in array.shape:
        raise DataError(
            f"vectors must be a float32 array of shape (N, D), one row an item, not empty; "
            f"got {array.dtype} {array.shape}"
        )
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(1)).sum())
        raise DataError(f"vectors must be finite; {bad} of {len(array)} rows hold NaN or infinity")
    if width not in (None, array.shape[1]):
        raise DataError(f"fitted on width {width}; got vectors of {array.shape[1]}")
    return array  # (N, D)
