"""What does a text mean, with nothing to download and nothing to learn? Hashed parts of its words.

Signed feature hashing (Weinberger et al., 2009, arXiv 0902.2206) of words and of their pieces of 3
and 4 letters: what is spelled alike points the same way. A text's vector depends on that text
alone, so it can be kept for good. Letters: N texts, D width, F features of a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError
from etalage.language.projection import unit_rows
from etalage.language.texts import check_texts
from etalage.language.words import stem, words_of

CELLS = 4
"""Cells of the vector that a feature adds to; with several, two features rarely meet in all."""
WORD_WEIGHT = 2.0
"""Of a word beside a piece of it."""
REMEMBERED = 2**15
"""Words whose cells are kept; most texts are made of the same few thousand."""


class NgramEncoder:
    """Text to unit vectors of hashed words and pieces of words.

    >>> shop = NgramEncoder(256)
    >>> trousers, cups = shop.encode(["size of trousers", "red cups"])
    >>> asked = shop.encode(["which trouser size"])[0]
    >>> bool(asked @ trousers > 0.5 > asked @ cups)
    True
    """

    def __init__(self, width: int = 384) -> None:
        if not 1 <= width <= 2**16:
            raise DataError(f"width must lie in 1..65536; got {width}")
        self.width = width
        self.fingerprint = f"ngrams 2 {width}"
        self._cells = lru_cache(REMEMBERED)(self._hashed)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D): unit rows, or zeros for a text without a word in it."""
        check_texts(texts)
        vectors = np.zeros((len(texts), self.width), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            counts = Counter(words_of(text))
            if not counts:
                continue
            cells, signs = zip(*map(self._cells, counts), strict=True)
            # the tenth repeat of a word adds little
            weights = 1 + np.log(np.fromiter(counts.values(), np.float64, len(counts)))
            weights = np.repeat(weights, [len(part) for part in cells])
            values = np.concatenate(signs) * weights
            vector[:] = np.bincount(np.concatenate(cells), values, self.width)
        return unit_rows(vectors)

    def _hashed(self, word: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Cells and signed weights of a word: (CELLS F,) each."""
        edged = f"<{word}>"
        pieces = [edged[at : at + n] for n in (3, 4) for at in range(len(edged) - n + 1)]
        features = [stem(word), *pieces]
        seeds = [crc32(part.encode("utf-8", "replace")) for part in features]
        mixed = np.array(seeds, np.uint64)[:, None] + np.arange(CELLS, dtype=np.uint64) * STEP
        for shift in (30, 27, 31):  # (F, CELLS), mixed until every bit depends on every other
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * MULTIPLIER
        mixed = mixed.ravel() >> np.uint64(16)
        weights = np.full(len(features), 1 / np.sqrt(len(features)))
        weights[0] *= WORD_WEIGHT
        signs = np.where(mixed & np.uint64(1), 1.0, -1.0) * np.repeat(weights, CELLS)
        return ((mixed >> np.uint64(1)) % np.uint64(self.width)).astype(np.int64), signs


STEP, MULTIPLIER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
