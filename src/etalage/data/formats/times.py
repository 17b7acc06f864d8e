"""When was that? Seconds, milliseconds, dates and ISO text become int64 milliseconds UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl

from etalage.errors import DataError

SMALLEST_CLOCK = 100_000_000
"""Numbers that are all below this (in seconds: March 1973) are positions, not moments."""

# a unit, the first value read as it, and what one of it is worth in milliseconds
UNITS = [
    ("seconds", 0, 1000.0),
    ("milliseconds", 10**11, 1.0),
    ("microseconds", 10**14, 1e-3),
    ("nanoseconds", 10**17, 1e-6),
]
# moments written out as one number: how, and between which numbers they lie (1970 to 2100). As
# another unit these would be the years 2594 to 2636, half of 1976, or positions.
CALENDAR = [
    ("YYYYMMDDHHMMSS", "%Y%m%d%H%M%S", 19700101000000, 20991231235959),
    ("YYYYMMDDHHMM", "%Y%m%d%H%M", 197001010000, 209912312359),
    ("YYYYMMDD", "%Y%m%d", 19700101, 20991231),
]
ISO_FORMATS = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
]


def to_ms(times: pl.Series, column: str) -> pl.Series:
    """Returns milliseconds UTC (Int64); `column` is how messages call it.

    The unit is read off the size of the numbers: seconds lie below 10^11, milliseconds below
    10^14, and so on, for any moment from 1973 to 5138. Numbers that are all below 10^8 are
    positions ("third event"), kept as they are. Numbers that are all dates (20240131) or moments
    (20240131120000) of the calendar are taken as such. Text is ISO 8601; without a zone all is UTC.

    Raises:
        DataError: where a time is missing, negative, not a time, or in another unit than the rest.
    """
    if times.null_count():
        _refuse(column, "has no value", times.is_null(), times)
    if times.dtype == pl.String:
        times = _from_text(times, column)
    if times.dtype == pl.Date or isinstance(times.dtype, pl.Datetime):
        ms = times.cast(pl.Datetime("ms")).dt.epoch("ms")
        if len(ms) and _number(ms.min()) < 0:
            _refuse(column, "is before 1970", ms < 0, times)
        return ms
    if not times.dtype.is_numeric():
        raise DataError(
            f"{column} is of type {times.dtype}; expected numbers (seconds or milliseconds since "
            "1970), dates or ISO 8601 text"
        )
    if times.dtype.is_float() and not times.is_finite().all():
        _refuse(column, "is not a finite number", ~times.is_finite(), times)
    if len(times) and _number(times.min()) < 0:
        _refuse(column, "is negative", times < 0, times)
    moments = _from_calendar(times, column)
    return _from_numbers(times, column) if moments is None else moments


def utc(ms: int) -> str:
    """Returns a moment as text, or the bare number where no calendar holds it.

    >>> utc(978300760000)
    '2000-12-31 22:12:40'
    """
    try:
        return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


def _from_calendar(times: pl.Series, column: str) -> pl.Series | None:
    """Returns moments written out as numbers in milliseconds; None where they are no such.

    One may stand for a position by chance; all of a column, or most, do not.
    """
    if not len(times):
        return None
    low, high = _number(times.min()), _number(times.max())
    for written, form, first, last in CALENDAR:
        if not first <= low <= high <= last:
            continue
        whole = times.cast(pl.Int64)
        moments = whole.cast(pl.String).str.to_datetime(form, strict=False, time_unit="ms")
        bad = moments.is_null() | (whole != times)
        if 2 * bad.sum() >= len(bad):
            return None
        if bad.any():
            _refuse(column, f"is no moment of the calendar ({written}, as most are)", bad, times)
        return moments.dt.epoch("ms")
    return None


def _from_numbers(times: pl.Series, column: str) -> pl.Series:
    if not len(times) or _number(times.max()) < SMALLEST_CLOCK:
        return times.cast(pl.Int64)
    unit, start, worth = next(u for u in reversed(UNITS) if _number(times.max()) >= u[1])
    low = _number(times.min())
    if low < start:
        smaller = next(u[0] for u in reversed(UNITS) if low >= u[1])
        above, below = (int((times >= start).arg_max() or 0), int((times < start).arg_max() or 0))
        raise DataError(
            f"{column} mixes units: {(times >= start).sum():,} values read as {unit} (the first "
            f"in row {above + 1:,}: {times[above]}), {(times < start).sum():,} as {smaller} or "
            f"shorter (the first in row {below + 1:,}: {times[below]}). Bring the column to one "
            "unit, or to dates"
        )
    if times.dtype.is_float():
        return (times * worth).round().cast(pl.Int64)
    times = times.cast(pl.Int64)
    return times * int(worth) if worth >= 1 else times // round(1 / worth)


def _from_text(times: pl.Series, column: str) -> pl.Series:
    """Returns numbers where all of the text is numbers, else moments."""
    for kind in (pl.Int64, pl.Float64):
        numbers = times.cast(kind, strict=False)
        if not numbers.null_count():
            return numbers
    moments = pl.Series(times.name, [None], dtype=pl.Datetime("ms")).new_from_index(0, len(times))
    for form in ISO_FORMATS:
        parsed = times.str.to_datetime(form, strict=False, time_unit="ms")
        parsed = parsed.dt.replace_time_zone(None)  # a zone in the text was brought to UTC already
        moments = pl.select(pl.coalesce(moments, parsed)).to_series()
        if not moments.null_count():
            return moments
    _refuse(column, "is no time (expected a number or an ISO date)", moments.is_null(), times)
    raise AssertionError("unreachable")


def _number(value: Any) -> float:
    """Narrows the least or greatest of a numeric column, which polars types as anything."""
    return value


def _refuse(column: str, fault: str, bad: pl.Series, times: pl.Series) -> None:
    row = int(bad.arg_max() or 0)
    value = times[row]
    raise DataError(
        f"{column} {fault} in {bad.sum():,} of {len(times):,} rows; the first is row {row + 1:,}: "
        f"{value!r}. Correct or remove these rows"
    )
