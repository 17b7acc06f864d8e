"""What are these items? Tables that describe the ids of a log, brought to one form.

An item table has the columns `item`, `title` and `category` first, where it has them at all. What
says what an item is (`TEXT_COLUMNS`) is text, or a list of texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

TEXT_COLUMNS = ("title", "brand", "category", "attributes", "phrase", "description")
"""Columns of an item table that say what an item is, in the order they are read."""


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
    table = table.with_columns(texts(table[c]) for c in TEXT_COLUMNS if c in table.columns)
    first = [c for c in ("item", "title", "category") if c in table.columns]
    return table.select(*first, pl.exclude(first))


def texts(column: pl.Series) -> pl.Series:
    """Brings a column to text, or to one list of texts an item, in whatever it is nested.

    Of named fields only the values are kept, in their order; what is missing is left out.

    >>> texts(pl.Series([[["Beauty", "c1"], ["Tools"]], None])).to_list()
    [['Beauty', 'c1', 'Tools'], None]
    >>> texts(pl.Series([{"colour": "red", "size": 3}])).to_list()
    [['red', '3']]
    """
    if column.dtype in (pl.String, pl.List(pl.String)):
        return column
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        rows = [None if row is None else list(_leaves(row)) for row in column.to_list()]
        return pl.Series(column.name, rows, dtype=pl.List(pl.String))
    return column.cast(pl.String)


def joined(column: pl.Series, separator: str) -> list[str]:
    """One text an item, '' where there is none; what is a list is joined."""
    column = texts(column)
    if column.dtype != pl.String:
        column = column.list.drop_nulls().list.join(separator)
    return column.fill_null("").to_list()


def column_texts(table: pl.DataFrame | None, name: str, n_rows: int) -> list[str]:
    """One text an item of a column, lists with commas; '' where there is none, or no column."""
    if table is None or name not in table.columns:
        return [""] * n_rows
    return joined(table[name], ", ")


def _leaves(value: Any) -> Iterator[str]:
    """The values in lists and named fields, one after the other, as text."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | pl.Series):
        for part in value:
            yield from _leaves(part)
    elif value is not None:
        yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)


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
