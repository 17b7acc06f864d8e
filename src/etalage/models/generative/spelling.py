"""How is each item of a catalogue spelled? Ids from vectors, judged by a log and categories, too.

Letters: U people, N items, D width, P pairs of items.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from etalage.data.dataset import Dataset
from etalage.data.formats.catalogue import joined
from etalage.tokenize.tokenizer import Tokenizer, TokenizerConfig


class SpellingConfig(TokenizerConfig):
    """How items are read, and how what was read is spelled."""

    n_codes: int = Field(64, ge=2)
    """Codes of a level. More spell items apart, fewer let rare items learn from common ones."""
    text_encoder: str = "hashing"
    """What reads the items' text: hashing, minilm, or a sentence encoder's name or folder."""
    vector_width: int = Field(64, ge=1)
    """Numbers in the item vectors that are quantised."""


def spelled(
    data: Dataset, vectors: NDArray[np.float32], config: TokenizerConfig, seed: int
) -> Tokenizer:
    """Ids of a catalogue from its vectors float32 (N, D), judged by its log and categories, too.

    Raises:
        DataError: when the ids are past the limits of their health, which says what to do.
    """
    log = data.interactions
    flat, starts = log.items, log.offsets[:-1]
    goes_on = np.ones(max(len(flat) - 1, 0), dtype=bool)  # both items are of one person
    goes_on[starts[(starts > 0) & (starts < len(flat))] - 1] = False
    return Tokenizer(config, seed).fit(
        vectors,
        labels=_labels(data),
        counts=log.popularity(),
        pairs=np.column_stack([flat[:-1][goes_on], flat[1:][goes_on]]),  # (P, 2)
    )


def _labels(data: Dataset) -> NDArray[Any] | None:
    """The whole category path of each item; None where the catalogue has no categories."""
    table = data.item_table
    if table is None or "category" not in table.columns:
        return None
    return np.array(joined(table["category"], " / "))
