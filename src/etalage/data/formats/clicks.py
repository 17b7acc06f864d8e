"""Is it a click table? A label and fields: separated text, Parquet, or libsvm lines.

A libsvm line is `label index:value index:value ...`; the n-th entry is the n-th field, so every
line must have as many. libffm's `field:index:value` names the field itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from etalage.data.formats.raw import listed, zeros_and_ones
from etalage.data.formats.source import (
    PART,
    columns_of,
    label,
    read_columns,
    read_parts,
    read_text,
)
from etalage.errors import DataError, did_you_mean

LABELS = ("label", "click", "clicked", "is_click", "target", "y")
LEADING_ZERO = r"^[-+]?0[0-9]"
LIBSVM = (".libsvm", ".svm", ".libfm", ".libffm", ".ffm")


def read_clicks(source: Any, *, click: str | None = None, encoding: str = "utf-8") -> pl.DataFrame:
    """Reads a click table: `label` (Int8, 0 or 1) first, then the fields.

    Whole numbers are Int64, other numbers Float64, everything else text; a missing cell is null.
    Tables without a header have the label first and get fields `field_1`, `field_2` ...

    Raises:
        DataError: when there is no label column, a label is not 0 or 1, or lines are uneven.
    """
    where = label(source)
    if isinstance(source, str | Path) and Path(source).suffix in LIBSVM:
        return _with_label(_libsvm(Path(source), encoding), "label", where)
    header, name = _named(columns_of(source, encoding), click, where)
    frame = _with_label(read_columns(source, encoding=encoding).rename(header), name, where)
    return frame.with_columns(_numbers(column) for column in frame.get_columns())


def read_click_parts(
    source: Any,
    *,
    click: str | None = None,
    encoding: str = "utf-8",
    rows: int = PART,
    progress: bool = False,
) -> Iterator[pl.DataFrame]:
    """Yields a click table of any size in parts, in order: `label` first, then the fields.

    Columns of separated text stay text, for their later rows are not known yet; a vocabulary reads
    numbers from it where a field is declared to be one. `progress` draws a bar on the terminal.

    Raises:
        DataError: when there is no label column, a label is not 0 or 1, or for libsvm lines.
    """
    where = label(source)
    if isinstance(source, str | Path) and Path(source).suffix in LIBSVM:
        raise DataError(
            f"{where} holds libsvm lines, which are not read in parts; read it with read_clicks, "
            "or write it as Parquet"
        )
    header, name = _named(columns_of(source, encoding), click, where)
    first_row = 0
    for part in read_parts(source, encoding=encoding, rows=rows, progress=progress):
        yield _with_label(part.rename(header), name, where, first_row)
        first_row += len(part)


def _named(columns: list[str], click: str | None, where: str) -> tuple[dict[str, str], str]:
    """Returns new names of columns, where there is no header, and then the label's name."""
    header: dict[str, str] = {}
    if columns[0] == "column_1" and click is None:
        names = ["label", *(f"field_{n}" for n in range(1, len(columns)))]
        header = dict(zip(columns, names, strict=True))
        columns = names
    name = click or next((c for c in columns if c.lower() in LABELS), None)
    if name is None or name not in columns:
        close = did_you_mean(click or "label", columns)
        problem = f"label column {click!r} not found in {where}" if click else (
            f"cannot tell which column of {where} is the label"
        )  # fmt: skip
        raise DataError(
            f"{problem}{close}; its columns are {listed(columns)}. Name it with click='COLUMN'"
        )
    return header, name


def _with_label(frame: pl.DataFrame, name: str, where: str, first_row: int = 0) -> pl.DataFrame:
    if not len(frame):
        raise DataError(f"{where} has no rows; expected at least one impression")
    what = f"label column {name!r} of {where}"
    advice = "Correct or remove these rows"
    labels = zeros_and_ones(frame[name], what, advice, first_row=first_row)
    return frame.select(labels.alias("label"), pl.exclude(name, "label"))


def _numbers(column: pl.Series) -> pl.Series:
    """Text becomes Float64 where all of it is numbers ("07" is none: it may be a code)."""
    if column.dtype != pl.String or column.str.contains(LEADING_ZERO).any():
        return column
    numbers = column.cast(pl.Float64, strict=False)
    is_all = numbers.null_count() == column.null_count() < len(column)
    return numbers.fill_nan(None) if is_all else column


def _libsvm(path: Path, encoding: str) -> pl.DataFrame:
    """Returns the label and, for each field, its index; and its value where any is not 1."""
    lines = [line.split() for line in read_text(path, encoding).splitlines() if line.strip()]
    width = len(lines[0])
    for number, words in enumerate(lines, 1):
        if len(words) != width:
            raise DataError(
                f"{path.name}, row {number}: {len(words) - 1} features where row 1 has "
                f"{width - 1}; every line needs one entry a field. Write sparse tables "
                "as CSV instead"
            )
    columns: dict[str, Any] = {"label": [words[0] for words in lines]}
    for place in range(1, width):
        entries = pl.Series([words[place] for words in lines])
        parts = entries.str.extract_groups(r"^(?:(\d+):)?(\d+):([-+.\deE]+)$").struct.unnest()
        parts = parts.rename(dict(zip(parts.columns, ("field", "index", "value"), strict=True)))
        index = parts["index"].cast(pl.Int64, strict=False)
        value = parts["value"].cast(pl.Float64, strict=False)
        if (bad := index.is_null() | value.is_null()).any():
            row = int(bad.arg_max() or 0)
            raise DataError(
                f"{path.name}, row {row + 1}: {entries[row]!r} is not index:value or "
                "field:index:value"
            )
        if parts["field"].n_unique() > 1:
            raise DataError(
                f"{path.name}: entry {place} belongs to different fields; sort each line"
            )
        name = f"field_{parts['field'][0] or place}"
        columns[name] = index
        if (value != 1).any():
            columns[f"{name}_value"] = value
    return pl.DataFrame(columns)
