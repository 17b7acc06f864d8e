"""How is an item spelled by what it is? Residual k-means: coarse code first, then what is left.

Level l clusters what levels before it left unexplained: r_0 = x, c_l = argmin_j |r_l - C_l[j]|^2,
r_{l+1} = r_l - C_l[c_l], x ~ C_0[c_0] + ... + C_{L-1}[c_{L-1}]. It needs no network and seconds
instead of hours, at the quality of RQ-VAE (Rajput et al., 2023) within seed noise.
Letters: N items, D width, K codes of a level, L levels.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError, NotFittedError
from etalage.seeds import generator
from etalage.tokenize.semantic_ids import SemanticIds

Vectors = NDArray[np.float32]
BLOCK = 4096
"""Items whose (BLOCK, K) distances are held at once."""


class ResidualKMeans:
    """Vectors to L codes of K values each, and back."""

    def __init__(
        self, n_levels: int = 3, n_codes: int = 64, n_iterations: int = 25, seed: int = 0
    ) -> None:
        if min(n_levels, n_codes, n_iterations) < 1:
            raise DataError(
                f"n_levels, n_codes and n_iterations must be at least 1; "
                f"got {n_levels}, {n_codes} and {n_iterations}"
            )
        self.n_levels = n_levels
        self.n_codes = n_codes
        self.n_iterations = n_iterations
        self.seed = seed

    def fit(self, vectors: Vectors) -> Self:
        """Learns the codebooks float32 (L, K, D) from the vectors float32 (N, D) of a catalogue."""
        residual = _checked(vectors).copy()
        books = []
        for level in range(self.n_levels):
            rng = generator(self.seed, "residual k-means", level)
            book = _kmeans(residual, self.n_codes, self.n_iterations, rng)
            residual -= book[nearest(residual, book)[0]]
            books.append(book)
        self.codebooks = np.stack(books)
        return self

    def encode(self, vectors: Vectors) -> NDArray[np.int32]:
        """Returns codes int32 (N, L); different items may share all of them."""
        residual = _checked(vectors).copy()
        books = self._fitted(residual.shape[1])
        codes = np.empty((len(residual), self.n_levels), dtype=np.int32)
        for level, book in enumerate(books):
            codes[:, level] = nearest(residual, book)[0]
            residual -= book[codes[:, level]]
        return codes

    def decode(self, codes: NDArray[np.int32]) -> Vectors:
        """Returns the vectors that codes stand for, float32 (N, D).

        Fewer than L columns give the coarser vectors; columns beyond L only tell items apart, and
        add nothing.
        """
        books = self._fitted()
        parts = zip(books, codes.T, strict=False)
        total = np.zeros((len(codes), books.shape[2]), dtype=np.float32)
        for book, code in parts:
            total += book[code]
        return total

    def spell(self, vectors: Vectors) -> SemanticIds:
        """Returns ids that no two items share; see `SemanticIds.distinct`."""
        return SemanticIds.distinct(self.encode(vectors), (self.n_codes,) * self.n_levels)

    def _fitted(self, width: int | None = None) -> Vectors:
        if not hasattr(self, "codebooks"):
            raise NotFittedError("ResidualKMeans is not fitted; call fit(vectors) first")
        if width not in (None, self.codebooks.shape[2]):
            raise DataError(f"fitted on width {self.codebooks.shape[2]}; got vectors of {width}")
        return self.codebooks


def nearest(vectors: Vectors, book: Vectors) -> tuple[NDArray[np.int64], Vectors]:
    """The nearest row of a codebook (K, D) to each vector, int64 (N,), and its squared distance."""
    codes = np.empty(len(vectors), dtype=np.int64)
    distances = np.empty(len(vectors), dtype=np.float32)
    norms = (book * book).sum(1)  # (K,)
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        x = vectors[rows]
        apart = norms - 2 * (x @ book.T)  # (block, K), short of |x|^2, which all codes share
        codes[rows] = apart.argmin(1)
        distances[rows] = apart.min(1) + (x * x).sum(1)
    return codes, np.maximum(distances, 0)


def _kmeans(x: Vectors, n_codes: int, n_iterations: int, rng: np.random.Generator) -> Vectors:
    """Lloyd's rounds from a k-means++ start; the codebook, float32 (K, D).

    Every code that has items is their mean, so a level never makes the error larger.
    """
    book = _far_apart(x, n_codes, rng)
    before = None
    for _ in range(n_iterations):
        codes, distances = nearest(x, book)
        counts = np.bincount(codes, minlength=n_codes)  # (K,)
        used, empty = np.flatnonzero(counts), np.flatnonzero(counts == 0)
        order = np.argsort(codes, kind="stable")
        starts = (np.cumsum(counts) - counts)[used]
        sums = np.add.reduceat(x[order], starts, axis=0, dtype=np.float64)  # (used, D)
        book[used] = sums / counts[used, None]
        # a code without items moves to one of the items that fare worst
        worst = np.argsort(-distances, kind="stable")[: len(empty)]
        worst = worst[distances[worst] > 0]
        book[empty[: len(worst)]] = x[worst]
        if before is not None and np.array_equal(codes, before):
            break
        before = codes
    return book


def _far_apart(x: Vectors, n_codes: int, rng: np.random.Generator) -> Vectors:
    """k-means++ (Arthur and Vassilvitskii, 2007): each start drawn by squared distance to the rest.

    When the distinct vectors run out, the rest of the codes are copies that no item will use.
    """
    chosen = [int(rng.integers(len(x)))]
    apart = np.full(len(x), np.inf)
    for draw in rng.random(n_codes - 1):
        apart = np.minimum(apart, ((x - x[chosen[-1]]) ** 2).sum(1))  # (N,)
        edges = np.cumsum(apart)
        chosen.append(min(int(np.searchsorted(edges, draw * edges[-1], "right")), len(x) - 1))
    return x[chosen].copy()


def _checked(vectors: Vectors) -> Vectors:
    array = np.asarray(vectors)
    if array.ndim != 2 or array.dtype != np.float32 or 0 in array.shape:
        raise DataError(
            f"vectors must be a float32 array of shape (N, D), one row an item, not empty; "
            f"got {array.dtype} {array.shape}"
        )
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(1)).sum())
        raise DataError(f"vectors must be finite; {bad} of {len(array)} rows hold NaN or infinity")
    return array  # (N, D)
