"""What does a text mean, with nothing to download? Hashed n-grams, tf-idf and a truncated SVD.

Latent semantic analysis (Deerwester et al., 1990) over signed feature hashing (Weinberger et al.,
2009, arXiv 0902.2206): words and their parts that occur together point the same way.
Letters: N texts, V hash buckets, D width, G distinct n-grams of all texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError, NotFittedError
from etalage.language.projection import leading_directions, unit_rows
from etalage.language.texts import check_texts
from etalage.seeds import generator

WORD = re.compile(r"\w+")
BLOCK = 512
"""Texts whose dense (BLOCK, V) counts are held at once."""


class HashingEncoder:
    """Text to unit vectors, learned from the catalogue's own texts.

    >>> shop = HashingEncoder(width=2).fit(["red mug", "blue mug", "oak table", "pine table"])
    >>> mug, table = shop.encode(["green mug", "a table"])
    >>> bool(shop.encode(["mugs"])[0] @ mug > shop.encode(["mugs"])[0] @ table)
    True
    """

    def __init__(self, width: int = 64, n_buckets: int = 2**13, seed: int = 0) -> None:
        if not 1 <= width <= n_buckets:
            raise DataError(f"width must lie in 1..n_buckets ({n_buckets}); got {width}")
        self.width = width
        self.n_buckets = n_buckets
        self.seed = seed

    def fit(self, texts: Sequence[str]) -> Self:
        """Learns how rare each n-gram is, and the D directions that tell the texts apart best."""
        counts = _Counts.of(texts, self.n_buckets)
        rarity = np.bincount(counts.buckets, minlength=self.n_buckets)
        self.idf = (np.log((1 + len(texts)) / (1 + rarity)) + 1).astype(np.float32)  # (V,)
        weighed = counts.weighed(self.idf)

        def gram(basis: NDArray[np.float32]) -> NDArray[np.float32]:
            total = np.zeros_like(basis)
            for rows in weighed.blocks():
                total += rows.T @ (rows @ basis)
            return total

        rng = generator(self.seed, "hashing encoder")
        self.directions = leading_directions(gram, self.n_buckets, self.width, rng)  # (V, D)
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D): unit rows, or zeros for a text without a word in it."""
        self._check_fitted()
        weighed = _Counts.of(texts, self.n_buckets).weighed(self.idf)
        vectors = [rows @ self.directions for rows in weighed.blocks()]
        return unit_rows(np.concatenate([np.zeros((0, self.width), np.float32), *vectors]))

    @property
    def fingerprint(self) -> str:
        """Of what was learned from the texts."""
        self._check_fitted()
        learned = sha256(self.idf.tobytes() + self.directions.tobytes())
        return f"hashing {learned.hexdigest()}"

    def _check_fitted(self) -> None:
        if not hasattr(self, "directions"):
            raise NotFittedError("HashingEncoder is not fitted; call fit(texts) first")


@dataclass(frozen=True)
class _Counts:
    """How often each text has each bucket: the entries that are not 0, text after text."""

    n_texts: int
    n_buckets: int
    rows: NDArray[np.int64]  # (G,)
    buckets: NDArray[np.int64]  # (G,)
    values: NDArray[np.float32]  # (G,) signed

    @classmethod
    def of(cls, texts: Sequence[str], n_buckets: int) -> _Counts:
        """Counts words, pairs of words, and pieces of 3 to 5 letters, each hashed to a bucket."""
        check_texts(texts)
        words = [WORD.findall(text.lower()) for text in texts]
        text_of_word = np.repeat(np.arange(len(words)), [len(row) for row in words])
        flat = [word for row in words for word in row]
        hashes = np.array([crc32(word.encode("utf-8", "replace")) for word in flat], np.uint64)
        # a word in spaces, so that " mu" is the beginning of a word and "mu" any part of it
        spaced = "".join(f" {word} " for word in flat).encode("utf-32-le", "replace")
        letters = np.frombuffer(spaced, "<u4").astype(np.uint64)
        word_of_letter = np.repeat(np.arange(len(flat)), [len(word) + 2 for word in flat])
        text_of_letter = text_of_word[word_of_letter]
        parts = [_ngrams(hashes, text_of_word, text_of_word, n) for n in (1, 2)]
        parts += [_ngrams(letters, word_of_letter, text_of_letter, n) for n in (3, 4, 5)]
        rows = np.concatenate([row for row, _ in parts])
        mixed = np.concatenate([value for _, value in parts])
        cells = rows * n_buckets + (mixed % np.uint64(n_buckets)).astype(np.int64)
        signs = np.where(mixed >> np.uint64(63), 1.0, -1.0)
        cells, entry = np.unique(cells, return_inverse=True)
        values = np.bincount(entry, signs, len(cells)).astype(np.float32)
        return cls(len(texts), n_buckets, cells // n_buckets, cells % n_buckets, values)

    def weighed(self, idf: NDArray[np.float32]) -> _Counts:
        """Returns tf-idf of unit length; the tenth repeat of a word adds little."""
        tf = np.sign(self.values) * np.log1p(np.abs(self.values))
        values = tf * idf[self.buckets]
        lengths = np.sqrt(np.bincount(self.rows, values.astype(np.float64) ** 2, self.n_texts))
        lengths[lengths == 0] = 1
        return replace(self, values=(values / lengths[self.rows]).astype(np.float32))

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yields the values as dense float32 (<= BLOCK, V), text after text."""
        for start in range(0, self.n_texts, BLOCK):
            dense = np.zeros((min(BLOCK, self.n_texts - start), self.n_buckets), np.float32)
            here = slice(*np.searchsorted(self.rows, (start, start + len(dense))))
            dense[self.rows[here] - start, self.buckets[here]] = self.values[here]
            yield dense


def _ngrams(
    tokens: NDArray[np.uint64], groups: NDArray[np.int64], rows: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Hashes of every n tokens in a row within one group: the row and value of each."""
    size = max(len(tokens) - n + 1, 0)
    value = np.full(size, n, dtype=np.uint64)
    for step in range(n):
        # an odd multiplier loses nothing, the shift carries high bits down (Steele et al., 2014)
        value = (value + tokens[step : step + size]) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(32)
    inside = groups[:size] == groups[n - 1 : n - 1 + size]
    return rows[:size][inside], value[inside]
