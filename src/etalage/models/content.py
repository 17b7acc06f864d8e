"""What is each item made of? Vectors of a catalogue, from its text or else from who took what.

Letters: U people, N items, D width.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.formats.catalogue import TEXT_COLUMNS, joined
from etalage.data.interactions import Interactions
from etalage.language.choose import text_encoder
from etalage.language.hashing import HashingEncoder
from etalage.language.projection import leading_directions, narrowed, unit_rows
from etalage.seeds import generator


class Reading(Protocol):
    """Settings of who reads items."""

    @property
    def text_encoder(self) -> str:
        """What reads the items' text: hashing, minilm, or a sentence encoder's name or folder."""

    @property
    def vector_width(self) -> int:
        """Numbers in the vectors."""


def item_vectors(data: Dataset, config: Reading, seed: int) -> NDArray[np.float32]:
    """Unit vectors of all items, float32 (N, <= D): from their text, else from who took them.

    Text is used when the item table says what items are (`TEXT_COLUMNS`). Vectors wider than
    `vector_width`, D, are narrowed to the D directions that tell the items apart best. Items about
    which nothing is known are zeros.

    Raises:
        RecipeError: for an encoder that does not exist.
        MissingExtraError: when the encoder needs a package that is not installed.
        DataError: when the encoder's model is absent or damaged.
    """
    texts = item_texts(data)
    if texts is None:
        return cooccurrence_vectors(data.interactions, config.vector_width, seed)
    return text_vectors(texts, config, seed)


def text_vectors(texts: list[str], config: Reading, seed: int) -> NDArray[np.float32]:
    """Unit vectors of texts, float32 (N, <= D), that are read and narrowed together."""
    width, encoder = config.vector_width, config.text_encoder
    if encoder == "hashing":
        return HashingEncoder(width, seed=seed).fit(texts).encode(texts)
    vectors = text_encoder(encoder).encode(texts)
    return narrowed(vectors, width, generator(seed, "narrowed text vectors"))


def item_texts(data: Dataset) -> list[str] | None:
    """The text of each item, in index order; None when no table says what any item is."""
    table = data.item_table
    columns = [] if table is None else [name for name in TEXT_COLUMNS if name in table.columns]
    if table is None or not columns:
        return None
    texts = (joined(table[name], " ") for name in columns)
    whole = [" ".join(parts) for parts in zip(*texts, strict=True)]
    return whole if any(text.strip() for text in whole) else None


def cooccurrence_vectors(log: Interactions, width: int, seed: int) -> NDArray[np.float32]:
    """Items near each other when the same people took them, float32 (N, <= D), unit rows.

    Leading right singular vectors of X_ui / sqrt(n_u n_i), weighted by their strength, without the
    first, sqrt(n_i), which only knows how popular an item is. Items that nobody took are zeros.
    """
    seen = log.matrix()  # (U, N)
    n_u, n_i = np.asarray(seen.sum(1)), np.asarray(seen.sum(0))
    scaled = seen.multiply(np.maximum(n_u, 1)[:, None] ** -0.5)
    scaled = scaled.multiply(np.maximum(n_i, 1) ** -0.5).tocsr()
    first = np.sqrt(n_i / max(n_i.sum(), 1))[:, None]  # (N, 1), of strength 1

    def gram(basis: NDArray[np.float32]) -> NDArray[np.float32]:
        return scaled.T @ (scaled @ basis) - first @ (first.T @ basis)

    rng = generator(seed, "co-occurrence vectors")
    found = leading_directions(gram, log.n_items, width, rng)
    strength = np.sqrt(np.maximum((found * gram(found)).sum(0), 0))  # (D,)
    # what nobody took has only rounding in it, which must not be stretched to length 1
    return unit_rows(np.where(n_i[:, None] > 0, found * strength, 0).astype(np.float32))
