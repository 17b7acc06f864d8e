"""What is each item made of, and how is it spelled? Vectors of a catalogue, and ids from them.

Letters: U people, N items, D width.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.language.hashing import HashingEncoder
from etalage.language.projection import leading_directions, unit_rows
from etalage.seeds import generator

TEXT_COLUMNS = ("title", "brand", "category", "attributes", "description")
"""Columns of an item table that say what an item is, in the order they are read."""


def item_vectors(data: Dataset, width: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors of all items, float32 (N, <= D): from their text, else from who took them.

    Text is used when the item table has titles. Items about which nothing is known are zeros.
    """
    texts = item_texts(data)
    if texts is None:
        return cooccurrence_vectors(data.interactions, width, seed)
    return HashingEncoder(width, seed=seed).fit(texts).encode(texts)


def item_texts(data: Dataset) -> list[str] | None:
    """The text of each item, in index order; None when there is no table with titles."""
    table = data.item_table
    if table is None or "title" not in table.columns:
        return None
    columns = [
        (pl.col(name).list.join(" ") if table.schema[name] == pl.List(pl.String) else pl.col(name))
        .cast(pl.String)
        .fill_null("")
        for name in TEXT_COLUMNS
        if name in table.columns
    ]
    return table.select(pl.concat_str(columns, separator=" ")).to_series().to_list()


def cooccurrence_vectors(log: Interactions, width: int, seed: int) -> NDArray[np.float32]:
    """Items near each other when the same people took them, float32 (N, <= D), unit rows.

    Leading right singular vectors of X_ui / sqrt(n_u n_i), weighted by their strength; the first,
    which only knows how popular an item is, is left out.
    """
    seen = log.matrix()  # (U, N)
    per_user = np.maximum(seen.sum(1), 1).astype(np.float32)
    per_item = np.maximum(seen.sum(0), 1).astype(np.float32)
    scaled = seen.multiply(per_user[:, None] ** -0.5).multiply(per_item**-0.5).tocsr()
    rng = generator(seed, "co-occurrence vectors")
    found = leading_directions(lambda b: scaled.T @ (scaled @ b), log.n_items, width + 1, rng)
    strength = np.linalg.norm(scaled @ found, axis=0).astype(np.float32)  # (D + 1,)
    weighted = found * strength
    return unit_rows(weighted[:, 1:] if weighted.shape[1] > 1 else weighted)
