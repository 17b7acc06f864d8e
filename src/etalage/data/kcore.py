"""Who is known well enough? The part of a log where everyone and everything has k events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.errors import DataError
from etalage.ids import Vocabulary


def core_rows(interactions: Interactions, *, users: int, items: int) -> NDArray[np.bool_]:
    """Marks the rows of the k-core, bool (M,).

    The k-core is the largest part of a log in which each user has at least `users` events and
    each item at least `items`. Dropping an item can bring a user below the mark and so on, so
    this repeats until nothing changes. Events count, repeats included.
    """
    rows = np.arange(len(interactions))
    by_user, by_item = interactions.users, interactions.items
    while True:
        enough_user = np.bincount(by_user[rows], minlength=interactions.n_users) >= users
        enough_item = np.bincount(by_item[rows], minlength=interactions.n_items) >= items
        kept = rows[enough_user[by_user[rows]] & enough_item[by_item[rows]]]
        if len(kept) == len(rows):
            break
        rows = kept
    mask = np.zeros(len(interactions), dtype=bool)
    mask[rows] = True
    return mask


def k_core(dataset: Dataset, *, users: int = 5, items: int = 5) -> Dataset:
    """Returns the k-core of a dataset, with indices, ids and tables for those who remain.

    Raises:
        DataError: when nobody remains.
    """
    log = dataset.interactions.rows(core_rows(dataset.interactions, users=users, items=items))
    if not len(log):
        raise DataError(
            f"nothing of {dataset.name} remains when users need {users} and items {items} events; "
            "ask for fewer"
        )
    user_kept = np.unique(log.users)
    item_kept = np.unique(log.items)
    new_user = _new_indices(user_kept, dataset.n_users)
    new_item = _new_indices(item_kept, dataset.n_items)

    def renumber(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            pl.Series("user", new_user[frame["user"].to_numpy()]),
            pl.Series("item", new_item[frame["item"].to_numpy()]),
        ).filter((pl.col("user") >= 0) & (pl.col("item") >= 0))

    item_table, user_table = dataset.item_table, dataset.user_table
    return replace(
        dataset,
        interactions=Interactions(
            renumber(log.frame), n_users=len(user_kept), n_items=len(item_kept)
        ),
        users=Vocabulary(dataset.users.externals(user_kept)),
        items=Vocabulary(dataset.items.externals(item_kept)),
        item_table=None if item_table is None else item_table[item_kept],
        user_table=None if user_table is None else user_table[user_kept],
        impressions=None if dataset.impressions is None else renumber(dataset.impressions),
        manifest={**dataset.manifest, "k_core": {"users": users, "items": items}},
    )


def _new_indices(kept: NDArray[np.integer], n: int) -> NDArray[np.int32]:
    """Maps an old index to its place among those kept, or -1; int32 (n,)."""
    new = np.full(n, -1, dtype=np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    return new
