"""What did the file say? A log with external ids, before anything is given an index."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from etalage.data.formats.times import to_ms
from etalage.errors import DataError


@dataclass(frozen=True)
class Names:
    """Which column is which, where the caller said so.

    None leaves it to be recognised; time and value may be 'none', for there is none.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    value: str | None = None

    def given(self) -> list[str]:
        """Returns the roles that the caller named."""
        return [role for role, name in vars(self).items() if name is not None]


@dataclass(frozen=True)
class RawLog:
    """A log in file order: user and item as given, time Int64, value Float32 where there is one.

    Times are milliseconds UTC, or positions where the log has no clock. `items` and `users`
    describe the ids in their column `item` or `user`.
    """

    frame: pl.DataFrame
    format: str
    items: pl.DataFrame | None = None
    users: pl.DataFrame | None = None


def raw_log(
    frame: pl.DataFrame,
    names: Names,
    *,
    where: str,
    format: str,
    items: pl.DataFrame | None = None,
    users: pl.DataFrame | None = None,
) -> RawLog:
    """Checks the named columns of a table and gives them their types.

    Without a time column the rows count as being in time order.

    Raises:
        DataError: for a table without rows, a missing id, a wrong type or a wrong time.
    """
    assert names.user is not None
    assert names.item is not None
    if not len(frame):
        raise DataError(f"{where} has a header but no rows; expected at least one interaction")
    columns = {
        "user": ids(frame[names.user], f"user column {names.user!r} of {where}"),
        "item": ids(frame[names.item], f"item column {names.item!r} of {where}"),
    }
    if names.time is None:
        columns["time"] = pl.int_range(len(frame), dtype=pl.Int64, eager=True)
    else:
        columns["time"] = to_ms(frame[names.time], f"time column {names.time!r} of {where}")
    if names.value is not None:
        columns["value"] = _values(frame[names.value], f"value column {names.value!r} of {where}")
    return RawLog(pl.DataFrame(columns), format, items, users)


def listed(columns: list[str]) -> str:
    """Returns names in quotes, for messages; the first forty where there are more."""
    more = f" and {len(columns) - 40} more" if len(columns) > 40 else ""
    return ", ".join(repr(c) for c in columns[:40]) + more


def ids(column: pl.Series, what: str) -> pl.Series:
    """Returns ids as Int64 or text.

    Raises:
        DataError: for a missing id, fractions, and types that are no ids.
    """
    missing = column.is_null()
    if column.dtype.is_float():
        missing |= column.is_nan().fill_null(True)
    elif column.dtype == pl.String:
        missing |= (column == "").fill_null(True)
    if missing.any():
        row = int(missing.arg_max() or 0) + 1
        raise DataError(
            f"{what} has no id in {missing.sum():,} of {len(column):,} rows; the first is row "
            f"{row:,}. Remove these rows, or give them an id"
        )
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if column.dtype == pl.String:
        return column
    if not column.dtype.is_numeric():
        raise DataError(f"{what} is of type {column.dtype}; ids must be text or whole numbers")
    whole = column.cast(pl.Int64, strict=False)
    if not column.dtype.is_integer() and (whole.cast(column.dtype) != column).fill_null(True).any():
        raise DataError(f"{what} holds fractional numbers; ids must be text or whole numbers")
    return column.cast(pl.String) if whole.null_count() else whole  # beyond Int64 they are text


def _values(values: pl.Series, what: str) -> pl.Series:
    numbers = values.cast(pl.Float32, strict=False)
    bad = numbers.is_null() | numbers.is_nan().fill_null(True)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{what} is not a number in {bad.sum():,} of {len(values):,} rows; the first is row "
            f"{row + 1:,}: {values[row]!r}. Correct or remove these rows, name another column, or "
            "go without one: --value none (value='none' in Python)"
        )
    return numbers
