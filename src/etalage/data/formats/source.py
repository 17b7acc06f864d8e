"""What is in this file? Opens tables of any kind lazily, and explains what cannot be opened.

A source is a path, a glob pattern, or a data frame (anything with `__arrow_c_stream__`: Polars,
pandas, pyarrow, DuckDB).
"""

from __future__ import annotations

import glob
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from etalage.errors import DataError, did_you_mean
from etalage.ids import CANONICAL_INTEGER

SEPARATORS = ["\t", ",", ";", "|"]
PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson")
UNREADABLE = (pl.exceptions.PolarsError, OSError, EOFError, zlib.error)  # the last two of gzip
PART = 500_000
"""Rows of a part: enough to be quick, and about half a gigabyte where a row has forty texts."""
NUMBER = r"-?[0-9]+(\.[0-9]*)?"
ENCODING_HELP = "name its encoding, for example --encoding latin-1 (encoding='latin-1' in Python)"


def label(source: Any) -> str:
    """Returns how a source is called in messages."""
    return Path(source).name if isinstance(source, str | Path) else "the data frame"


def columns_of(source: Any, encoding: str = "utf-8") -> list[str]:
    """Returns the column names of a table without reading it whole."""
    return _scan(source, encoding).collect_schema().names()


def read_columns(
    source: Any,
    columns: list[str] | None = None,
    encoding: str = "utf-8",
    *,
    quotes: bool = True,
) -> pl.DataFrame:
    """Reads some columns, or all.

    From separated text whole numbers become Int64 where that loses nothing ("007" stays text),
    and everything else stays text. `quotes=False` takes quotation marks as they stand.

    Raises:
        DataError: for a file that is missing, empty, cut short, not text, or not a table.
    """
    table = _scan(source, encoding, quotes=quotes)
    try:
        frame = (table if columns is None else table.select(columns)).collect()
    except UNREADABLE as error:
        raise _unreadable(source, encoding, error) from error
    if not _is_separated(source):
        return frame
    for name in frame.columns:  # one by one, so that the text of one column is freed at once
        frame = frame.with_columns(integers_where_exact(frame[name]))
    return frame


def read_parts(
    source: Any, *, encoding: str = "utf-8", rows: int = PART, progress: bool = False
) -> Iterator[pl.DataFrame]:
    """Yields a table in parts of about `rows` rows, in order; text stays text in all of them.

    `progress` draws a bar on the terminal.

    Raises:
        DataError: for a file that is missing, empty, cut short, not text, or not a table.
    """
    table = _scan(source, encoding)
    try:
        parts: Iterable[pl.DataFrame] = table.collect_batches(chunk_size=rows, maintain_order=True)
        yield from _with_bar(parts, table, label(source)) if progress else parts
    except UNREADABLE as error:
        raise _unreadable(source, encoding, error) from error


def _with_bar(
    parts: Iterable[pl.DataFrame], table: pl.LazyFrame, text: str
) -> Iterator[pl.DataFrame]:
    from rich.console import Console
    from rich.progress import Progress

    n_rows = table.select(pl.len()).collect().item()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=n_rows)
        for part in parts:
            yield part
            bar.advance(task, len(part))


def integers_where_exact(column: pl.Series) -> pl.Series:
    """Text becomes Int64 if every cell, written again as a number, is the same text."""
    if column.dtype != pl.String or column.null_count() == len(column):
        return column
    for part in (column.head(1000), column):  # most text shows in the first thousand
        if not part.drop_nulls().str.contains(CANONICAL_INTEGER).all():
            return column
    numbers = column.cast(pl.Int64, strict=False)
    return column if numbers.null_count() > column.null_count() else numbers  # beyond Int64


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Reads a whole text file, gzipped or not.

    Raises:
        DataError: for a file that is missing, empty, or in another encoding.
    """
    data = _bytes_of(path)
    if not data.strip():
        raise DataError(f"{path.name} is empty; there is nothing to import")
    try:
        return data.decode(encoding)
    except LookupError:
        raise DataError(f"unknown text encoding {encoding!r}; try 'latin-1'") from None
    except UnicodeDecodeError as error:
        raise DataError(_not_in(encoding, path, data, error)) from error


def read_separated(path: Path, separator: str, columns: list[str]) -> pl.DataFrame:
    """Reads text without a header, cut at `separator` (of any length), as the columns named.

    Quotation marks have no meaning. The text is UTF-8, or latin-1 where it cannot be (as in the
    MovieLens files). Cells beyond the columns named are left out; short lines end in nulls.
    """
    try:
        text = read_text(path)
    except DataError as error:
        if not isinstance(error.__cause__, UnicodeDecodeError):
            raise
        text = read_text(path, "latin-1")
    frame = pl.read_csv(
        io.BytesIO(text.replace(separator, "\x1f").encode()),
        separator="\x1f",
        has_header=False,
        quote_char=None,
        schema=dict.fromkeys(columns, pl.String()),
        truncate_ragged_lines=True,
    )
    return frame.with_columns(integers_where_exact(frame[name]) for name in columns)


def files_of(source: str | Path) -> list[Path]:
    """Returns the files of a path or a glob pattern, sorted by name.

    Raises:
        DataError: when there is none.
    """
    path = Path(source)
    if path.exists():
        return [path]
    if glob.has_magic(str(source)):
        paths = [Path(p) for p in sorted(glob.glob(str(source)))]
        if not paths:
            raise DataError(f"no file matches {str(source)!r}")
        return paths
    near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError(f"no file {str(source)!r}{did_you_mean(path.name, near)}")


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8")


def _is_separated(source: Any) -> bool:
    return isinstance(source, str | Path) and not str(source).endswith((*PARQUET, *JSON_LINES))


def _bytes_of(path: Path) -> bytes:
    path = files_of(path)[0]
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path.name}: {error}") from error


def _scan(source: Any, encoding: str, *, quotes: bool = True) -> pl.LazyFrame:
    """Opens a table; of a file, nothing but the header is read."""
    if isinstance(source, pl.LazyFrame):
        return source
    if not isinstance(source, str | Path):
        if not hasattr(source, "__arrow_c_stream__"):
            raise DataError(
                f"cannot read a table from {type(source).__name__}; give a path, a glob pattern, "
                "or a data frame (anything with __arrow_c_stream__, such as Polars or pandas)"
            )
        return pl.DataFrame(source).lazy()
    paths = files_of(source)
    empty = next((p for p in paths if not p.stat().st_size), None)
    if empty is not None:
        raise DataError(f"{empty.name} is empty (0 bytes); expected a table")
    try:
        if str(source).endswith(PARQUET):
            table = pl.scan_parquet(paths)
        elif str(source).endswith(JSON_LINES):
            table = pl.scan_ndjson(paths, infer_schema_length=None)
        else:
            table = _scan_separated(paths, encoding, quotes)
        table.collect_schema()
    except UNREADABLE as error:
        raise _unreadable(source, encoding, error) from error
    return table


def _scan_separated(paths: list[Path], encoding: str, quotes: bool) -> pl.LazyFrame:
    texts = (
        [] if _is_utf8(encoding) else [io.BytesIO(read_text(p, encoding).encode()) for p in paths]
    )
    if texts:
        line = texts[0].readline()
        texts[0].seek(0)
    else:
        with (gzip.open if paths[0].suffix == ".gz" else open)(paths[0], "rb") as file:
            line = file.readline()
    try:
        first = line.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(_not_in("utf-8", paths[0], line, error)) from error
    separator = max(SEPARATORS, key=first.count)
    cells = first.split(separator)
    # the names of columns are no numbers, so a line with a number in it is data
    has_header = not any(re.fullmatch(NUMBER, cell.strip('"')) for cell in cells)
    return pl.scan_csv(
        texts or paths,  # type: ignore[arg-type]
        separator=separator,
        has_header=has_header,
        new_columns=None if has_header else [f"column_{n}" for n in range(1, len(cells) + 1)],
        quote_char='"' if quotes else None,
        infer_schema=False,
    )


def _unreadable(source: Any, encoding: str, error: Exception) -> DataError:
    """Turns a reader's complaint into what is wrong with which file, and what to do."""
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    if not isinstance(source, str | Path):
        return DataError(f"cannot read the data frame: {why}")
    for path in files_of(source):
        if path.suffix in PARQUET:
            with path.open("rb") as file:
                start = file.read(4)
                file.seek(-min(4, path.stat().st_size), io.SEEK_END)
                end = file.read(4)
            if start != b"PAR1":
                return DataError(f"{path.name} is not a Parquet file (it lacks the mark PAR1)")
            if end != b"PAR1":
                return DataError(
                    f"{path.name} is cut short (the end of the Parquet file is missing); "
                    "copy, download or write it again"
                )
        elif _is_utf8(encoding):
            data = _bytes_of(path)
            try:
                data.decode()
            except UnicodeDecodeError as bad:
                return DataError(_not_in(encoding, path, data, bad))
    return DataError(
        f"cannot read {label(source)} as a table ({why}); check that it is complete and, for "
        "text, that every row has as many cells as the header"
    )


def _not_in(encoding: str, path: Path, data: bytes, error: UnicodeDecodeError) -> str:
    line = data[: error.start].count(b"\n") + 1
    return (
        f"{path.name} is not {encoding.upper()} text: byte 0x{data[error.start]:02x} at position "
        f"{error.start:,}, line {line:,}; {ENCODING_HELP}"
    )
