"""What is a text, and which are read together? Those of one length, so that none is padded.

Without padding a row of a matrix product is the same numbers in every batch, and so a text's vector
does not depend on its company. Letters: N texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError

TOKENS_AT_ONCE = 1024
"""Tokens of a batch. More fill the processor's cache and gain nothing."""


def check_texts(texts: Sequence[str]) -> None:
    """Raises DataError unless `texts` is a sequence of str."""
    if isinstance(texts, str):
        raise DataError("texts must be a sequence of str; give a list of one for one text")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"texts must be a sequence of str; text {row} is {text!r:.50}: give '' where an "
                "item has no text"
            )


def readable(texts: Sequence[str]) -> list[str]:
    """Returns checked texts with '?' for halves of characters, which no tokeniser reads.

    >>> readable(["née", "half \\ud83c"])
    ['née', 'half ?']
    """
    check_texts(texts)
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def batches(lengths: Sequence[int]) -> Iterator[NDArray[np.intp]]:
    """Yields the texts of a batch, longest first; those of length 0 are in none.

    >>> [batch.tolist() for batch in batches([3, 700, 3, 0, 700])]
    [[1], [4], [0, 2]]
    """
    found = np.asarray(lengths, np.intp)
    for length in np.unique(found[found > 0])[::-1]:
        rows = np.flatnonzero(found == length)
        step = max(TOKENS_AT_ONCE // int(length), 1)
        yield from (rows[at : at + step] for at in range(0, len(rows), step))
