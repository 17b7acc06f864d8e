"""What does a column mean to a ranker? The kinds of field, and how each becomes codes or numbers.

A field of codes has code 0 where a row has no value. Missing are null, NaN and empty text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Discriminator, Field

from etalage.errors import DataError
from etalage.recipe.config import Config

LARGEST = float(np.finfo(np.float32).max)
KEYS = (pl.String(), pl.Int64(), pl.UInt64(), pl.Boolean())
"""Types that values are counted and looked up in."""


class Listed(Config):
    """A field whose every known value is a code, 1 to n, and any other value n + 1."""

    min_count: int = Field(1, ge=1)
    """Values in fewer training rows share the code of values never seen."""

    def code(self, keys: pl.Expr, values: pl.Series) -> pl.Expr:
        """Returns the codes of keys, Int32, given the known values in order of code."""
        codes = pl.Series(np.arange(1, len(values) + 1, dtype=np.int32))
        known = keys.replace_strict(values, codes, default=len(values) + 1, return_dtype=pl.Int32)
        return pl.when(keys.is_null()).then(0).otherwise(known).cast(pl.Int32)


class Category(Listed):
    """Text, whole numbers, or true and false."""

    kind: Literal["category"] = "category"

    def key(self, column: pl.Series, first_row: int) -> pl.Series:
        """Returns the values in one of the types of `KEYS`, null where there is none."""
        dtype = column.dtype
        if dtype.is_float():
            column = column.fill_nan(None)
            whole = column.cast(pl.Int64, strict=False)
            bad = (whole.cast(pl.Float64) != column.cast(pl.Float64)) | (
                whole.is_null() & column.is_not_null()
            )
            refuse(column, bad, first_row, "not a whole number; make the field a number")
            return whole
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            raise DataError(
                f"column {column.name!r} is of type {dtype}; a category is text or whole numbers"
            )
        if dtype.is_integer() and dtype not in (pl.UInt64, pl.Int128, pl.UInt128):
            return column.cast(pl.Int64)
        if dtype not in KEYS:
            column = column.cast(pl.String)
        return column if column.dtype != pl.String else column.replace("", None)


class Log2(Listed):
    """Numbers as categories, after the winners of the Criteo challenge: v > 2 becomes
    floor(ln(v)^2), any other its whole part."""

    kind: Literal["log2"] = "log2"

    def key(self, column: pl.Series, first_row: int) -> pl.Series:
        """Returns the bins of numbers, null where there is none."""
        v = pl.col(column.name)
        bins = pl.when(v > 2).then(v.log().pow(2).floor()).otherwise(v.clip(-(2.0**53)))
        return as_numbers(column, first_row).to_frame().select(bins.cast(pl.Int64)).to_series()


class Quantile(Config):
    """Numbers as codes 1 to `bins`, of about as many training rows each."""

    kind: Literal["quantile"] = "quantile"
    bins: int = Field(32, ge=2)
    """Bins; fewer where many rows have the same number."""

    def key(self, column: pl.Series, first_row: int) -> pl.Series:
        """Returns the numbers, null where there is none."""
        return as_numbers(column, first_row)

    def code(self, keys: pl.Expr, values: pl.Series) -> pl.Expr:
        """Returns the codes of keys, Int32, given the largest number of each bin but the last."""
        bins = pl.lit(values).search_sorted(keys, side="left") + 1
        return pl.when(keys.is_null()).then(0).otherwise(bins).cast(pl.Int32)


class Number(Config):
    """A number less its training mean, in training deviations; a missing one counts as the mean."""

    kind: Literal["number"] = "number"

    def key(self, column: pl.Series, first_row: int) -> pl.Series:
        """Returns the numbers, null where there is none."""
        return as_numbers(column, first_row)


class Bag(Listed):
    """Text that holds several values, each a code."""

    kind: Literal["bag"] = "bag"
    length: int = Field(5, ge=1)
    """Values of a row that are read; later ones are left out."""
    separator: str = Field("|", min_length=1)
    """Stands between the values."""

    def key(self, column: pl.Series, first_row: int) -> pl.Series:
        """Returns at most `length` texts a row."""
        if column.dtype == pl.Null:
            column = column.cast(pl.String)
        if column.dtype != pl.String:
            raise DataError(
                f"column {column.name!r} is of type {column.dtype}; a bag is text whose values "
                f"are separated by {self.separator!r}"
            )
        some = pl.element().filter(pl.element() != "").head(self.length)
        return column.str.split(self.separator).list.eval(some)


FieldKind = Annotated[Category | Log2 | Quantile | Number | Bag, Discriminator("kind")]
Fields = Mapping[str, FieldKind]


def fields_of(frame: pl.DataFrame) -> dict[str, FieldKind]:
    """Returns what the columns of a click table are by default: fractions numbers, all else
    categories.

    Raises:
        DataError: when there is no column besides the label.
    """
    columns = frame.drop("label", strict=False).get_columns()
    if not columns:
        raise DataError("the click table has a label but no field to predict it from")
    return {c.name: Number() if c.dtype.is_float() else Category() for c in columns}


def keys_of(frame: pl.DataFrame, fields: Fields, first_row: int) -> pl.DataFrame:
    """Returns the columns of the fields as values to count or to look up.

    Raises:
        DataError: for a column that is missing or of a wrong type, and for a value that its field
            cannot have, named by its row; `first_row` rows came before this frame.
    """
    absent = [name for name in fields if name not in frame.columns]
    if absent:
        raise DataError(f"fields {absent} are not in the table; it has {frame.columns}")
    return pl.DataFrame([kind.key(frame[name], first_row) for name, kind in fields.items()])


def as_numbers(column: pl.Series, first_row: int) -> pl.Series:
    """Returns Float64 that float32 can hold, null where there is none; DataError for others."""
    numbers = column.cast(pl.Float64, strict=False).fill_nan(None)
    if column.dtype == pl.String:
        given = column.str.strip_chars().str.to_lowercase()
        words = numbers.is_null() & ~given.is_in(["", "nan"])
        refuse(column, words, first_row, "not a number")
    elif not column.dtype.is_numeric() and column.dtype != pl.Null:
        raise DataError(f"column {column.name!r} is of type {column.dtype}; expected numbers")
    refuse(column, numbers.abs() > LARGEST, first_row, "infinite, or too large for float32")
    return numbers


def refuse(column: pl.Series, bad: pl.Series, first_row: int, what: str) -> None:
    """Raises DataError where any row is bad."""
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"column {column.name!r} is {what}: {bad.sum():,} rows, the first is row "
            f"{first_row + row + 1:,}: {column[row]!r}. Correct these rows, or leave them empty"
        )
