"""Is it RecBole's atomic files? `.inter`, with `.item` and `.user` of the same name beside it.

Tab-separated; a header cell is a name and a type (`user_id:token`). Quotation marks have no
meaning. The types promise numbers that the published files do not keep, so they are not relied on.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from etalage.data.formats.raw import Names, RawLog, raw_log
from etalage.data.formats.source import read_columns
from etalage.data.formats.table import resolve
from etalage.errors import DataError


def read(path: Path, names: Names, *, encoding: str = "utf-8") -> RawLog:
    """Reads the log of a `.inter` file; columns are named without their type.

    Raises:
        DataError: for a column that is not there, a broken file, wrong types, no rows.
    """
    frame = _read(path, encoding)
    return raw_log(
        frame,
        resolve(names, frame.columns, path.name),
        where=path.name,
        format="recbole",
        items=_beside(path.with_suffix(".item"), encoding),
        users=_beside(path.with_suffix(".user"), encoding),
    )


def _beside(path: Path, encoding: str) -> pl.DataFrame | None:
    return _read(path, encoding) if path.exists() else None


def _read(path: Path, encoding: str) -> pl.DataFrame:
    frame = read_columns(path, encoding=encoding, quotes=False)
    untyped = [c for c in frame.columns if ":" not in c]
    if untyped:
        raise DataError(
            f"{path.name} has a header cell {untyped[0]!r} without a type; RecBole's files have "
            "headers like 'user_id:token'. Rename the file to .tsv to import it as a plain table"
        )
    return frame.rename({c: c.split(":")[0] for c in frame.columns})
