"""What lies there? Recognises logs in the forms people have them, and reads them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from etalage.data.dataset import Dataset
from etalage.data.table import from_frame, read_frame
from etalage.errors import DataError, did_you_mean

GUESSES = {
    "user": ("user", "user_id", "userid", "uid", "visitor", "customer_id", "session_id"),
    "item": ("item", "item_id", "itemid", "movie_id", "product_id", "sku", "asin"),
    "time": ("time", "timestamp", "ts", "date", "datetime", "unixreviewtime"),
    "value": ("value", "rating", "stars"),
}


def open_dataset(
    path: str | Path,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    value: str | None = None,
) -> Dataset:
    """Opens a log: a table, RecBole atomic files, S3-Rec sequences, or a folder of these.

    Column names need giving only where they are not the usual ones.

    Raises:
        DataError: when nothing readable is there, with what was found instead.
    """
    path = Path(path)
    if path.is_dir():
        path = main_file(path)
    if path.name == "sequences.txt":
        return read_sequences(path)
    frame = read_frame(path)
    if path.suffix == ".inter":
        frame = frame.rename({c: c.split(":")[0] for c in frame.columns})
    columns = {"user": user, "item": item, "time": time, "value": value}
    named = {role: given or guess(frame, role) for role, given in columns.items()}
    for role in ("user", "item", "time"):
        if named[role] is None:
            have = ", ".join(repr(c) for c in frame.columns)
            raise DataError(
                f"{path.name}: cannot tell which column is the {role}; its columns are {have}. "
                f"Name it with --{role} COLUMN"
            )
    name = path.parent.name if path.stem in {"interactions", "data"} else path.stem
    dataset = from_frame(
        frame,
        user=str(named["user"]),
        item=str(named["item"]),
        time=named["time"],
        value=named["value"],
        name=name,
        source=path.name,
    )
    return with_items(dataset, path)


def guess(frame: pl.DataFrame, role: str) -> str | None:
    """Returns the column whose name usually plays a role, or None."""
    usual = {c.lower(): c for c in frame.columns}
    return next((usual[name] for name in GUESSES[role] if name in usual), None)


def main_file(folder: Path) -> Path:
    """Returns the file that holds the log of a folder."""
    for pattern in ("interactions.parquet", "sequences.txt", "*.inter", "*.parquet", "*.csv"):
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f.name for f in found)
            raise DataError(f"{folder} holds several logs ({names}); give the path of one")
    names = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
    raise DataError(
        f"no log in {folder}; found {names}. Expected interactions.parquet, sequences.txt, "
        "*.inter, or one Parquet or CSV file"
    )


def read_sequences(path: Path) -> Dataset:
    """Reads one line a user: the user, then items in time order; the place in the line is time."""
    lines = path.read_text().split("\n")
    rows: list[list[str]] = [line.split() for line in lines if line.strip()]
    if not rows:
        raise DataError(f"{path.name} is empty; expected lines of a user id, then item ids")
    short = next((n for n, row in enumerate(rows, 1) if len(row) < 2), None)
    if short is not None:
        raise DataError(f"{path.name}, line {short}: a user without items")
    frame = pl.DataFrame(
        {
            "user": [row[0] for row in rows for _ in row[1:]],
            "item": [item for row in rows for item in row[1:]],
            "time": [place for row in rows for place in range(len(row) - 1)],
        }
    )
    with suppress(pl.exceptions.InvalidOperationError):  # ids that are not numbers stay text
        frame = frame.cast({"user": pl.Int64, "item": pl.Int64})
    name = path.parent.name
    dataset = from_frame(frame, user="user", item="item", time="time", name=name, source=path.name)
    return with_items(dataset, path)


def with_items(dataset: Dataset, log: Path) -> Dataset:
    """Adds the item table that lies beside a log, one row an index; none is no error."""
    beside = (log.with_suffix(".item"), *(log.parent / f"items.{e}" for e in ("parquet", "jsonl")))
    path = next((p for p in beside if p.exists() and p != log), None)
    if path is None:
        return dataset
    if path.suffix == ".jsonl":
        table = pl.read_ndjson(path)
    else:  # typed headers promise numbers that the files do not keep, so all is read as text
        table = read_frame(path, quote_char=None, infer_schema=False)
    table = table.rename({c: c.split(":")[0] for c in table.columns})
    key = guess(table, "item")
    if key is None:
        raise DataError(
            f"{path.name} has no item column{did_you_mean('item', table.columns)}; "
            f"its columns are {table.columns}"
        )
    table = table.rename({key: "item"} | renames(table))
    ids: list[Any] = list(dataset.items.ids)
    order = pl.DataFrame({"item": ids}).cast({"item": table["item"].dtype})
    table = order.join(
        table.unique("item", keep="first"), on="item", how="left", maintain_order="left"
    )
    return Dataset(
        dataset.name,
        dataset.interactions,
        dataset.users,
        dataset.items,
        item_table=table,
        manifest=dataset.manifest,
    )


def renames(table: pl.DataFrame) -> dict[str, str]:
    """Brings the usual names of the title and category columns to ours."""
    usual = {"movie_title": "title", "class": "category", "categories": "category"}
    return {old: new for old, new in usual.items() if old in table.columns}
