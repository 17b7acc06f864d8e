"""What are these items? Tables that describe the ids of a log, brought to one form.

An item table has the columns `item`, `title` and `category` first, where it has them at all.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from etalage.data.formats.raw import ids, listed
from etalage.data.formats.source import read_columns
from etalage.data.formats.table import recognise
from etalage.errors import DataError
from etalage.ids import Vocabulary

BESIDE = ("items.parquet", "items.jsonl", "items.csv", "items.tsv")
USUAL = {
    "title": ("title", "movie_title", "item_name", "product_name", "name"),
    "category": ("category", "categories", "class", "genres", "genre"),
}


def read_beside(log: Path, encoding: str = "utf-8") -> pl.DataFrame | None:
    """Reads the item table that lies in the folder of a log; None where there is none."""
    path = next((log.parent / name for name in BESIDE if (log.parent / name).exists()), None)
    return None if path is None or path == log else read_columns(path, encoding=encoding)


def item_table(table: pl.DataFrame, items: Vocabulary, where: str) -> pl.DataFrame:
    """Returns one row an item, in the order of their indices; nulls for items not described.

    Raises:
        DataError: when no column holds the item ids, or one of its ids is missing.
    """
    table = _keyed(table, "item", items, where)
    for ours, usual in USUAL.items():
        have = next((name for name in usual if name in table.columns), None)
        if have is not None:
            table = table.rename({have: ours})
    first = [c for c in ("item", "title", "category") if c in table.columns]
    return table.select(*first, pl.exclude(first))


def user_table(table: pl.DataFrame, users: Vocabulary, where: str) -> pl.DataFrame:
    """Returns one row a user, in the order of their indices; nulls for users not described."""
    table = _keyed(table, "user", users, where)
    return table.select("user", pl.exclude("user"))


def _keyed(table: pl.DataFrame, role: str, ids_of: Vocabulary, where: str) -> pl.DataFrame:
    key = recognise(role, table.columns)
    if key is None:
        raise DataError(
            f"the {role} table of {where} has no column of {role} ids; its columns are "
            f"{listed(table.columns)}. Call one of them {role!r}"
        )
    known = ids(table[key], f"column {key!r} of the {role} table of {where}")
    order = pl.Series(role, list(ids_of.ids), dtype=pl.Int64 if ids_of.is_integer else pl.String)
    if known.dtype != order.dtype:  # "17" and 17 are the same id
        known = known.cast(pl.String)
    table = table.drop(key).with_columns(known.alias("\0key"))
    table = table.unique("\0key", keep="first", maintain_order=True)
    return (
        order.to_frame()
        .with_columns(pl.col(role).cast(known.dtype).alias("\0key"))
        .join(table.drop(role, strict=False), on="\0key", how="left", maintain_order="left")
        .drop("\0key")
    )
