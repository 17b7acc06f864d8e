"""How is an item spelled by what it is? Residual k-means: coarse code first, then what is left.

Level l clusters what levels before it left unexplained: r_0 = x, c_l = argmin_j |r_l - C_l[j]|^2,
r_{l+1} = r_l - C_l[c_l], x ~ C_0[c_0] + ... + C_{L-1}[c_{L-1}]. It needs no network and seconds
instead of hours, at the quality of RQ-VAE (Rajput et al., 2023) within seed noise.
Letters: N items, D width, K codes of a level, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from etalage.seeds import generator
from etalage.tokenize.kmeans import BLOCK, Vectors, checked_vectors, kmeans, nearest, sample_of
from etalage.tokenize.quantizer import Quantizer, check_counts, check_fitted


class ResidualKMeans(Quantizer):
    """Vectors to L codes of K values each, and back.

    Of more than 256 * K vectors as many are drawn by the seed, once for all levels, and learned
    from; `check_health` measures the quality on all of them.
    """

    def __init__(
        self, n_levels: int = 3, n_codes: int = 64, n_iterations: int = 25, seed: int = 0
    ) -> None:
        check_counts(n_levels=n_levels, n_codes=n_codes, n_iterations=n_iterations)
        self.n_codes = n_codes
        self.n_iterations = n_iterations
        self.seed = seed
        self._n_levels = n_levels

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.n_codes,) * self._n_levels

    def fit(self, vectors: Vectors) -> Self:
        """Learns the codebooks float32 (L, K, D) from the vectors float32 (N, D) of a catalogue."""
        residual = sample_of(checked_vectors(vectors), self.n_codes, self.seed)
        books = []
        for level in range(self.n_levels):
            rng = generator(self.seed, "residual k-means", level)
            book = kmeans(residual, self.n_codes, self.n_iterations, rng)
            residual -= book[nearest(residual, book)[0]]
            books.append(book)
        self.codebooks = np.stack(books)
        return self

    def encode(self, vectors: Vectors) -> NDArray[np.int32]:
        """Returns codes int32 (N, L); different items may share all of them."""
        check_fitted(self, "codebooks")
        vectors = checked_vectors(vectors, self.codebooks.shape[2])
        codes = np.empty((len(vectors), self.n_levels), dtype=np.int32)
        for start in range(0, len(vectors), BLOCK):
            rows = slice(start, start + BLOCK)
            residual = vectors[rows].copy()
            for level, book in enumerate(self.codebooks):
                code = nearest(residual, book)[0]
                codes[rows, level] = code
                residual -= book[code]
        return codes

    def decode(self, codes: NDArray[np.int32]) -> Vectors:
        """Returns the vectors that codes stand for, float32 (N, D); see `Quantizer.decode`."""
        check_fitted(self, "codebooks")
        total = np.zeros((len(codes), self.codebooks.shape[2]), dtype=np.float32)
        for book, code in zip(self.codebooks, codes.T, strict=False):
            total += book[code]
        return total

    def arrays(self) -> dict[str, NDArray[Any]]:
        check_fitted(self, "codebooks")
        return {"codebooks": self.codebooks}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        self.codebooks = arrays["codebooks"]
        return self
