"""What lies there? Recognises logs in the forms people have them, and makes datasets of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.artefact import sha256_of
from etalage.data import store
from etalage.data.dataset import Dataset
from etalage.data.formats import atomic, movielens, sequences, table
from etalage.data.formats.catalogue import item_table, read_beside, user_table
from etalage.data.formats.raw import Names, RawLog
from etalage.data.formats.source import files_of, label
from etalage.data.impressions import impressions_of
from etalage.data.interactions import Interactions
from etalage.errors import DataError
from etalage.ids import Vocabulary

LOGS_OF_FOLDERS = (
    "interactions.parquet", "sequences.txt", "*.inter", "u.data", "ratings.dat", "ratings.csv",
    "*.parquet", "*.csv", "*.tsv",
)  # fmt: skip


def open_dataset(
    path: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    value: str | None = None,
    clicked: str | None = None,
    encoding: str = "utf-8",
) -> Dataset:
    """Opens a log: a stored dataset, a table, or the files of RecBole, MovieLens or S3-Rec.

    `path` is a file, a glob pattern, a folder, or a data frame. Column names need giving only
    where they are not the usual ones; `time="none"` takes the order of the rows as time, and
    `value="none"` leaves ratings out. An item table that lies beside the log comes along.

    A table with a column of clicks, 0 or 1, is a log of what was shown: all rows become the
    impressions, with what else is known of them, and those that were clicked the interactions.

    Raises:
        DataError: when nothing readable is there, with what was found instead.
    """
    names = Names(user, item, time, value, clicked)
    if not isinstance(path, str | Path):
        return as_dataset(table.read(path, names), name="table")
    if Path(path).is_dir():
        if store.is_stored(Path(path)):
            return store.load(Path(path))
        path = main_file(Path(path))
    first, *others = files_of(path)
    if first.name == "sequences.txt":
        raw = sequences.read(first, names, encoding=encoding)
    elif first.suffix == ".inter":
        raw = atomic.read(first, names, encoding=encoding)
    elif movielens.is_log(first):
        raw = movielens.read(first, names)
    else:
        raw = table.read(path, names, encoding=encoding)
    stem = first.name.split(".")[0]
    is_plain = stem in {"interactions", "sequences", "ratings", "data", "u"}
    return as_dataset(
        raw,
        name=first.resolve().parent.name if is_plain or others else stem,
        beside=read_beside(first, encoding) if raw.items is None else None,
        source={"source": label(path), "source_sha256": sha256_of(first, *others)},
    )


def as_dataset(
    raw: RawLog,
    *,
    name: str,
    beside: pl.DataFrame | None = None,
    source: dict[str, Any] | None = None,
) -> Dataset:
    """Gives every id its index, in sorted order, so that the order of a file changes nothing."""
    users, user_index = indexed(raw.frame["user"])
    items, item_index = indexed(raw.frame["item"])
    described = raw.items if raw.items is not None else beside
    log = raw.frame.with_columns(user=user_index, item=item_index)
    impressions = None
    if raw.context is not None:
        impressions = impressions_of(log, raw.context)
        log = log.filter(pl.col("clicked") == 1)
    return Dataset(
        name,
        Interactions.from_arrays(
            log["user"],
            log["item"],
            log["time"],
            log["value"] if "value" in log.columns else None,
            n_users=len(users),
            n_items=len(items),
        ),
        users,
        items,
        item_table=None if described is None else item_table(described, items, name),
        user_table=None if raw.users is None else user_table(raw.users, users, name),
        impressions=impressions,
        manifest={"source": name, "format": raw.format} | (source or {}),
    )


def indexed(column: pl.Series) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Returns the sorted distinct ids and the index of each row, int32 (M,)."""
    column = column.alias("id")
    distinct = column.unique().sort()
    index = pl.int_range(len(distinct), dtype=pl.Int32, eager=True).alias("index")
    of_rows = column.to_frame().join(
        pl.DataFrame([distinct, index]), on="id", how="left", maintain_order="left"
    )
    return Vocabulary(distinct.to_list()), of_rows["index"].to_numpy()


def main_file(folder: Path) -> Path:
    """Returns the file that holds the log of a folder."""
    for pattern in LOGS_OF_FOLDERS:
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f.name for f in found)
            raise DataError(
                f"{folder} holds several logs ({names}); give the path of one, or a glob pattern "
                f"such as '{folder}/*{found[0].suffix}' where they are parts of one"
            )
    names = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
    raise DataError(
        f"no log in {folder}; found {names}. Expected one of {', '.join(LOGS_OF_FOLDERS)}"
    )
