"""What did the file say? A log with external ids, before anything is given an index."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from etalage.data.formats.times import to_ms
from etalage.errors import DataError


@dataclass(frozen=True)
class Names:
    """Which column is which, where the caller said so.

    None leaves it to be recognised; time, value and clicked may be 'none', for there is none.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    value: str | None = None
    clicked: str | None = None

    def given(self) -> list[str]:
        """Returns the roles that the caller named."""
        return [role for role, name in vars(self).items() if name is not None]


@dataclass(frozen=True)
class RawLog:
    """A log in file order: user and item as given, time Int64, value Float32 where there is one.

    Times are milliseconds UTC, or positions where the log has no clock. A click log has `clicked`
    too, Int8 0 or 1, and its further columns are in `context`; values of what was not clicked mean
    nothing. `items` and `users` describe the ids in their column `item` or `user`.
    """

    frame: pl.DataFrame
    format: str
    context: pl.DataFrame | None = None
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
        DataError: for a table without rows, a missing id, a wrong type, a wrong time, or clicks
            that are not 0 and 1.
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
    context = needed = None
    if names.clicked is not None:
        columns["clicked"] = _clicks(
            frame[names.clicked], f"clicked column {names.clicked!r} of {where}"
        )
        needed = columns["clicked"] == 1  # what was not clicked has no rating
        context = frame.drop(name for name in vars(names).values() if name is not None)
    if names.value is not None:
        what = f"value column {names.value!r} of {where}"
        columns["value"] = _values(frame[names.value], what, needed)
    return RawLog(pl.DataFrame(columns), format, context, items, users)


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


def zeros_and_ones(column: pl.Series, what: str, advice: str, *, first_row: int = 0) -> pl.Series:
    """Returns numbers, truth values or their text as Int8, 0 or 1; `first_row` rows came before.

    Raises:
        DataError: for anything else; `advice` says what to do.
    """
    numbers = column.cast(pl.Float64, strict=False)
    if column.dtype == pl.String:
        truth = column.str.to_lowercase().replace_strict({"true": 1.0, "false": 0.0}, default=None)
        numbers = numbers.fill_null(truth)
    bad = ~numbers.is_in([0.0, 1.0]).fill_null(False)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{what} is not 0 or 1 in {bad.sum():,} of {len(bad):,} rows; the first is row "
            f"{first_row + row + 1:,}: {column[row]!r}. {advice}"
        )
    return numbers.cast(pl.Int8)


def _clicks(column: pl.Series, what: str) -> pl.Series:
    none = (
        "Name another column, or go without one, and every row counts as taken: --clicked none "
        "(clicked='none' in Python)"
    )
    clicks = zeros_and_ones(column, what, f"Correct or remove these rows. {none}")
    if clicks.n_unique() < 2:
        raise DataError(
            f"{what} is {clicks[0]} in all {len(clicks):,} rows; a click log needs what was "
            f"clicked and what was not. {none}"
        )
    return clicks


def _values(values: pl.Series, what: str, needed: pl.Series | None) -> pl.Series:
    """Returns Float32; of a click log only the rows that are `needed` must have a number."""
    numbers = values.cast(pl.Float32, strict=False)
    bad = numbers.is_null() | numbers.is_nan().fill_null(True)
    if needed is not None:
        bad &= needed
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{what} is not a number in {bad.sum():,} of {len(values):,} rows; the first is row "
            f"{row + 1:,}: {values[row]!r}. Correct or remove these rows, name another column, or "
            "go without one: --value none (value='none' in Python)"
        )
    return numbers
