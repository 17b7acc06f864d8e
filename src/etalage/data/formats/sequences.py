"""Is it sequences? One line a person: the person, then items in the order of their events.

The form of the S3-Rec files (`sequences.txt`). There is no clock: the place of an item in its line
is its time.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from etalage.data.formats.raw import Names, RawLog, raw_log
from etalage.data.formats.source import integers_where_exact, read_text
from etalage.errors import DataError


def read(path: Path, names: Names, *, encoding: str = "utf-8") -> RawLog:
    """Reads a sequence file.

    Raises:
        DataError: for named columns, an empty file, a line without items, a person twice.
    """
    if names.given():
        raise DataError(
            f"{path.name} has lines of a person and items, not columns; leave out "
            + ", ".join(f"--{role}" for role in names.given())
        )
    words = pl.Series("words", read_text(path, encoding).splitlines()).str.extract_all(r"\S+")
    lines = pl.DataFrame({"words": words}).with_row_index("line", 1)
    lines = lines.filter(pl.col("words").list.len() > 0)
    short = lines.filter(pl.col("words").list.len() < 2)
    if len(short):
        raise DataError(
            f"{path.name}, line {short['line'][0]}: a user without items; expected a user id, then "
            "item ids"
        )
    lines = lines.select(
        pl.col("words").list.first().alias("user"), pl.col("words").list.slice(1).alias("item")
    )
    twice = lines["user"].is_duplicated()
    if twice.any():
        raise DataError(
            f"{path.name} has several lines of user {lines['user'].filter(twice)[0]!r}; "
            "expected one line a user"
        )
    frame = lines.with_columns(time=pl.int_ranges(pl.col("item").list.len())).explode(
        "item", "time"
    )
    frame = frame.with_columns(integers_where_exact(frame[name]) for name in ("user", "item"))
    return raw_log(frame, Names("user", "item", "time"), where=path.name, format="sequences")
