"""Which column is what? Any table with a user, an item and a time column becomes a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.errors import DataError, did_you_mean
from etalage.ids import Vocabulary

# largest plausible epoch value of each unit; each is a date after the year 5000
UNITS = (("seconds", 1e11, 1000.0), ("milliseconds", 1e14, 1.0), ("microseconds", 1e17, 1e-3))
SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".item": "\t", ".txt": "\t"}


def read_frame(path: Path, **options: Any) -> pl.DataFrame:
    """Reads one CSV, TSV or Parquet file; DataError says what is wrong with it and where."""
    if not path.exists():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise DataError(f"no file {path}{did_you_mean(path.name, near)}")
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty (0 bytes); expected a table with a header line")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        separator = SEPARATORS.get(path.suffix.removesuffix(".gz"), ",")
        return pl.read_csv(path, separator=separator, **options)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise DataError(why_unreadable(path, error)) from error


def why_unreadable(path: Path, error: Exception) -> str:
    """Finds out what a reader's error means for the person who has the file."""
    raw = path.read_bytes()
    if path.suffix == ".parquet":
        if raw[:4] != b"PAR1":
            return f"{path.name} is not a Parquet file (it does not begin with PAR1)"
        if raw[-4:] != b"PAR1":
            return f"{path.name} is cut short (its end is missing); copy or download it again"
        return f"{path.name} cannot be read as Parquet: {error}"
    try:
        raw.decode()
    except UnicodeDecodeError as bad:
        line = raw[: bad.start].count(b"\n") + 1
        return (
            f"{path.name} is not UTF-8: byte 0x{raw[bad.start]:02x} at position {bad.start} "
            f"(line {line}); convert it, for example: iconv -f latin1 -t utf-8"
        )
    return f"{path.name} cannot be read as a table: {error}"


def from_frame(
    frame: pl.DataFrame,
    *,
    user: str,
    item: str,
    time: str | None,
    value: str | None = None,
    name: str = "table",
    source: str = "",
) -> Dataset:
    """Maps ids to indices (in sorted order) and times to milliseconds UTC.

    `time=None` takes the order of the rows as time.

    Raises:
        DataError: for a missing column, a missing id, a time that makes no sense, no rows.
    """
    chosen = {"user": user, "item": item} | ({"time": time} if time else {})
    chosen |= {"value": value} if value else {}
    for role, column in chosen.items():
        if column not in frame.columns:
            have = ", ".join(repr(c) for c in frame.columns)
            raise DataError(
                f"column {column!r} not found in {name}{did_you_mean(column, frame.columns)}; "
                f"its columns are {have}. Name the {role} column with --{role} COLUMN"
            )
    if not len(frame):
        raise DataError(f"{name} has a header but no rows; expected at least one interaction")
    users, user_index = index_column(frame[user], f"{name}: {user!r}")
    items, item_index = index_column(frame[item], f"{name}: {item!r}")
    times = None if time is None else milliseconds(frame[time], f"{name}: {time!r}")
    values = None if value is None else numbers(frame[value], f"{name}: {value!r}")
    interactions = Interactions.from_arrays(
        user_index, item_index, times, values, n_users=len(users), n_items=len(items)
    )
    return Dataset(name, interactions, users, items, manifest={"source": source or name})


def index_column(column: pl.Series, where: str) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Returns the sorted distinct ids and the index of each row, int32 (M,)."""
    column = column.alias("id")
    if not (column.dtype.is_integer() or column.dtype == pl.String):
        column = column.cast(pl.String)
    if column.null_count():
        first = int(column.is_null().arg_max() or 0)
        raise DataError(
            f"{where} has {column.null_count():,} missing ids, the first in row {first + 1}; "
            "remove those rows or give them an id"
        )
    distinct = column.unique().sort()
    ids = pl.DataFrame({"id": distinct, "index": np.arange(len(distinct), dtype=np.int32)})
    index = column.to_frame().join(ids, on="id", how="left", maintain_order="left")["index"]
    return Vocabulary(distinct.to_list()), index.to_numpy()


def numbers(column: pl.Series, where: str) -> NDArray[np.float32]:
    """Returns a column as float32 (M,); DataError for text or missing values."""
    values = column.cast(pl.Float32, strict=False)
    bad = values.is_null() | values.is_nan()
    if bad.any():
        first = int(bad.arg_max() or 0)
        raise DataError(
            f"{where} has {int(bad.sum()):,} values that are not numbers, the first "
            f"({column[first]!r}) in row {first + 1}"
        )
    return values.to_numpy()


def milliseconds(column: pl.Series, where: str) -> NDArray[np.int64]:
    """Returns times as int64 milliseconds UTC (M,), whatever unit or form they came in."""
    if column.dtype == pl.String:
        try:
            column = column.str.to_datetime(time_unit="ms")
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"{where} is text that is no date, such as {column[0]!r}; expected "
                "epoch seconds or milliseconds, or ISO dates like 2024-05-01T12:00:00"
            ) from error
    if column.null_count():
        first = int(column.is_null().arg_max() or 0)
        raise DataError(
            f"{where} has {column.null_count():,} missing times, first in row {first + 1}"
        )
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("ms")).to_physical().cast(pl.Int64).to_numpy()
    if not column.dtype.is_numeric():
        raise DataError(f"{where} has type {column.dtype}; expected numbers or dates")
    low, high = float(column.min()), float(column.max())  # type: ignore[arg-type]
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{where} holds NaN or infinity; remove those rows")
    if low < 0:
        first = int((column < 0).arg_max() or 0)
        raise DataError(f"{where} has a negative time, {column[first]}, in row {first + 1}")
    unit, limit, factor = next((u for u in UNITS if high < u[1]), ("nanoseconds", np.inf, 1e-6))
    smaller = [u for u in UNITS if u[1] < limit]
    if smaller and low < smaller[-1][1]:
        raise DataError(
            f"{where} mixes units: the largest time, {high:.0f}, reads as {unit}, "
            f"the smallest, {low:.0f}, as {smaller[-1][0]}; bring the column to one unit"
        )
    if column.dtype.is_integer() and factor >= 1:
        return (column.cast(pl.Int64) * int(factor)).to_numpy()
    return (column.cast(pl.Float64) * factor).round().cast(pl.Int64).to_numpy()
