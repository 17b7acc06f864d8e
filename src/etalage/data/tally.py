"""What do training rows say about a field? Counts or moments, summed up part by part.

A tally takes the keys of its field as `data.fields` makes them; a vocabulary keeps what it learns.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.data.fields import Bag, FieldKind, Listed, Number, Quantile
from etalage.errors import DataError

WAITING = 1 << 17
"""Counts that may wait to be merged with those before."""
TOLD_APART = 1 << 20
"""Numbers of a quantile field whose counts are kept apart; beyond it they are kept for ranks."""


class Tally(Protocol):
    """Sums over the keys of one field."""

    def sums(self, keys: pl.Expr) -> pl.Expr:
        """Returns one row: the sums over the keys of a part."""

    def add(self, sums: pl.Series) -> None:
        """Adds the sums over one part."""

    def learnt(self) -> pl.Series:
        """What the field learnt from all parts."""


def tally_of(kind: FieldKind) -> Tally:
    """The sums that a field needs."""
    if isinstance(kind, Number):
        return Moments()
    return Ranks(kind) if isinstance(kind, Quantile) else Values(kind)


class Counts:
    """How many rows have each value."""

    def __init__(self) -> None:
        self.parts: list[pl.DataFrame] = []
        self.n_waiting = self.n_merged = 0

    def sums(self, keys: pl.Expr) -> pl.Expr:
        """Returns one list of values and counts."""
        return keys.alias("value").value_counts(name="n").implode()

    def add(self, sums: pl.Series) -> None:
        """Adds the counts of one part."""
        part = sums.item().struct.unnest().drop_nulls().cast({"n": pl.Float64})
        if (
            len(part)
            and self.parts
            and (before := self.parts[0]["value"].dtype) != part["value"].dtype
        ):
            raise DataError(
                f"column {sums.name!r} is of type {part['value'].dtype} after parts of type "
                f"{before}; give all parts one type"
            )
        if len(part):
            self.parts.append(part)
            self.n_waiting += len(part)
        if self.n_waiting > max(WAITING, self.n_merged):
            self.merge()

    def merge(self) -> pl.DataFrame:
        """Returns values and counts over all parts."""
        if len(self.parts) > 1:
            self.parts = [pl.concat(self.parts).group_by("value").agg(pl.col("n").sum())]
        self.n_waiting, self.n_merged = 0, sum(map(len, self.parts))
        return self.parts[0] if self.parts else pl.DataFrame()


class Values(Counts):
    """Values in order of code: by falling count, then by their text."""

    def __init__(self, kind: Listed) -> None:
        super().__init__()
        self.kind = kind

    def sums(self, keys: pl.Expr) -> pl.Expr:
        """Returns one list of values and counts."""
        return super().sums(keys.list.unique().explode() if isinstance(self.kind, Bag) else keys)

    def learnt(self) -> pl.Series:
        """The values with rows enough."""
        counts = self.merge()
        if not len(counts):
            return pl.Series(dtype=pl.String)
        kept = counts.filter(pl.col("n") >= self.kind.min_count)
        order = [pl.col("n"), pl.col("value").cast(pl.String)]
        return kept.sort(order, descending=[True, False])["value"]


class Ranks(Counts):
    """Quantiles: exact for up to a million different numbers, and to about 1e-4 beyond."""

    def __init__(self, kind: Quantile) -> None:
        super().__init__()
        self.bins = kind.bins

    def merge(self) -> pl.DataFrame:
        """Returns numbers and counts over all parts; so many numbers at equal ranks if too many."""
        counts = super().merge()
        if len(counts) > TOLD_APART:
            n = TOLD_APART // 2
            kept = self._at((np.arange(n) + 0.5) / n)
            counts = pl.DataFrame({"value": kept, "n": counts["n"].sum() / n})
            self.parts, self.n_merged = [counts], n
        return counts

    def learnt(self) -> pl.Series:
        """The largest number of each bin but the last: the smallest with k / bins of the rows at
        or below it."""
        if not len(self.merge()):
            return pl.Series(dtype=pl.Float64)
        ends = np.unique(self._at(np.arange(1, self.bins + 1) / self.bins))
        return pl.Series(ends[:-1], dtype=pl.Float64)

    def _at(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """The smallest numbers with these shares of the rows at or below them."""
        numbers, n = (c.to_numpy() for c in self.parts[0].sort("value").get_columns())
        reached = np.cumsum(n)
        return numbers[np.searchsorted(reached, shares * reached[-1])]


class Moments:
    """Mean and deviation (Chan, Golub and LeVeque, 1983, for the sum of two parts)."""

    def __init__(self) -> None:
        self.n, self.mean, self.squares = 0, 0.0, 0.0

    def sums(self, keys: pl.Expr) -> pl.Expr:
        """Returns the count, the mean and the mean squared distance from it."""
        return pl.struct(n=keys.count(), mean=keys.mean(), variance=keys.var(ddof=0))

    def add(self, sums: pl.Series) -> None:
        """Adds one part."""
        part = sums.item()
        if not part["n"]:
            return
        n = self.n + part["n"]
        step = part["mean"] - self.mean
        self.squares += part["variance"] * part["n"] + step**2 * self.n * part["n"] / n
        self.mean += step * part["n"] / n
        self.n = n

    def learnt(self) -> pl.Series:
        """The mean and the deviation; 1 where all numbers are the same, but for rounding."""
        deviation = (self.squares / (self.n - 1)) ** 0.5 if self.n > 1 else 0.0
        return pl.Series([self.mean, deviation if deviation > 1e-12 * abs(self.mean) else 1.0])
