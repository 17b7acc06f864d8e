"""How is an item spelled by its parts? The vector is cut into slots, and each has codes of its own.

No code builds on another, so slots may be read in any order: STORE's tokens (arXiv 2409.07276), and
product quantisation (Jegou et al., 2011) with a learned rotation (OPQ, Ge et al., 2013).
Letters: N items, D width, P width after the projection, L slots, K codes of a slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError
from etalage.seeds import generator
from etalage.tokenize.kmeans import (
    BLOCK,
    SAMPLE,
    Vectors,
    checked_vectors,
    kmeans,
    nearest,
    sample_of,
)
from etalage.tokenize.quantizer import Quantizer, check_counts, check_fitted


class ParallelKMeans(Quantizer):
    """k-means in each of L slots of neighbouring columns.

    Without `width` slots are the columns as they come, which is right for vectors that are made of
    slots, as the dense tokens of STORE laid side by side. With it they are cut from the first
    `width` principal components, so that the first slot holds what tells items apart most.
    """

    def __init__(
        self,
        n_levels: int = 4,
        n_codes: int = 256,
        width: int | None = None,
        n_iterations: int = 25,
        seed: int = 0,
    ) -> None:
        check_counts(n_levels=n_levels, n_codes=n_codes, n_iterations=n_iterations)
        if width is not None and width < n_levels:
            raise DataError(f"width must be at least n_levels ({n_levels}) or None; got {width}")
        self.n_codes = n_codes
        self.width = width
        self.n_iterations = n_iterations
        self.seed = seed
        self._n_levels = n_levels

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.n_codes,) * self._n_levels

    def fit(self, vectors: Vectors) -> Self:
        """Learns the projection and the codebooks; of more than 256 * K vectors as many count."""
        vectors = checked_vectors(vectors)
        if (self.width or vectors.shape[1]) > vectors.shape[1] or self._too_narrow(vectors):
            raise DataError(
                f"{self.n_levels} slots and width {self.width} need vectors at least as wide; got "
                f"width {vectors.shape[1]}"
            )
        x = sample_of(vectors, self.n_codes, self.seed)
        self.mean = x.mean(0, dtype=np.float64).astype(np.float32)  # (D,)
        self.rotation = self._rotation(x - self.mean)  # (P, D), orthonormal rows
        slots = self._project(x)
        self.books = np.concatenate(
            [
                kmeans(
                    np.ascontiguousarray(slots[:, columns]),
                    self.n_codes,
                    self.n_iterations,
                    generator(self.seed, "parallel k-means", level),
                )
                for level, columns in enumerate(self._columns())
            ],
            axis=1,
        )  # (K, P)
        return self

    def encode(self, vectors: Vectors) -> NDArray[np.int32]:
        """Returns codes int32 (N, L), one a slot."""
        check_fitted(self, "books")
        vectors = checked_vectors(vectors, len(self.mean))
        codes = np.empty((len(vectors), self.n_levels), dtype=np.int32)
        for start in range(0, len(vectors), BLOCK):
            rows = slice(start, start + BLOCK)
            slots = self._project(vectors[rows])
            for level, columns in enumerate(self._columns()):
                codes[rows, level] = nearest(slots[:, columns], self.books[:, columns])[0]
        return codes

    def decode(self, codes: NDArray[np.int32]) -> Vectors:
        """Returns vectors float32 (N, D); a slot that is not given stands at its mean."""
        check_fitted(self, "books")
        slots = np.zeros((len(codes), self.books.shape[1]), dtype=np.float32)
        for columns, code in zip(self._columns(), codes.T, strict=False):
            slots[:, columns] = self.books[code, columns]
        return self.mean + (slots @ self.rotation if self.rotation.size else slots)

    def arrays(self) -> dict[str, NDArray[Any]]:
        check_fitted(self, "books")
        return {"mean": self.mean, "rotation": self.rotation, "books": self.books}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        self.mean, self.rotation, self.books = (arrays[k] for k in ("mean", "rotation", "books"))
        return self

    def _too_narrow(self, vectors: Vectors) -> bool:
        return vectors.shape[1] < self.n_levels

    def _rotation(self, centred: Vectors) -> Vectors:
        """The rows that are projected on, (P, D); none for the columns as they come."""
        if self.width is None:
            return np.zeros((0, centred.shape[1]), np.float32)
        _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        return np.ascontiguousarray(directions.T[::-1][: self.width], dtype=np.float32)

    def _project(self, x: Vectors) -> Vectors:
        centred = x - self.mean
        return centred @ self.rotation.T if self.rotation.size else centred

    def _columns(self) -> list[slice]:
        width = len(self.rotation) or len(self.mean)
        edges = [len(part) for part in np.array_split(np.arange(width), self.n_levels)]
        ends = np.cumsum(edges).tolist()
        return [slice(end - n, end) for n, end in zip(edges, ends, strict=True)]


class OPQ(ParallelKMeans):
    """Slots of a rotation that faiss learns so that the slots' codes lose least.

    K must be a power of two, and there must be at least K vectors, as many as faiss asks for.
    """

    def __init__(self, n_levels: int = 4, n_codes: int = 256, seed: int = 0) -> None:
        super().__init__(n_levels, n_codes, seed=seed)
        if n_codes & (n_codes - 1) or n_codes < 2:
            raise DataError(f"n_codes must be a power of two for OPQ; got {n_codes}")

    def fit(self, vectors: Vectors) -> Self:
        """Learns rotation and codebooks; of more than 256 * K vectors as many count."""
        vectors = checked_vectors(vectors)
        if self._too_narrow(vectors) or len(vectors) < self.n_codes:
            raise DataError(
                f"OPQ of {self.n_levels} slots and {self.n_codes} codes needs at least as many "
                f"columns and vectors; got {vectors.shape}; use fewer, or ParallelKMeans"
            )
        x = sample_of(vectors, self.n_codes, self.seed)
        self.mean = x.mean(0, dtype=np.float64).astype(np.float32)
        x -= self.mean
        width = x.shape[1] - x.shape[1] % self.n_levels  # faiss wants slots of one width
        n_bits = self.n_codes.bit_length() - 1
        rotation = faiss.OPQMatrix(x.shape[1], self.n_levels, width)
        shape = faiss.ProductQuantizer(width, self.n_levels, n_bits)
        shape.cp.min_points_per_centroid = 1  # few items a code are the user's choice, no warning
        rotation.pq = shape
        rotation.max_train_points = SAMPLE * self.n_codes
        rotation.train(x)
        quantizer = faiss.ProductQuantizer(width, self.n_levels, n_bits)
        quantizer.cp.min_points_per_centroid = 1
        quantizer.cp.seed = int(generator(self.seed, "opq").integers(2**31 - 1))
        self.rotation = faiss.vector_to_array(rotation.A).reshape(width, x.shape[1]).copy()
        quantizer.train(self._project(x + self.mean))
        books = faiss.vector_to_array(quantizer.centroids)
        books = books.reshape(self.n_levels, self.n_codes, width // self.n_levels)
        self.books = np.ascontiguousarray(books.transpose(1, 0, 2).reshape(self.n_codes, width))
        return self
