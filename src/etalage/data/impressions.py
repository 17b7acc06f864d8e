"""What was shown, and what of it was clicked? The table of a click log, as rankers read it.

Letters: M impressions.
"""

from __future__ import annotations

import polars as pl

from etalage.data.formats.clicks import LABELS
from etalage.data.interactions import COLUMNS

MOST_VALUES = 1000
"""Different values of a context column at most; one with more names things, or measures."""
FEWEST_TOLD = 30
"""Impressions below which one does not call it a column's doing that all were clicked."""
NO_CONTEXT = ("user", "item", "time", "clicked", "true_probability")
"""Columns of impressions that are no context."""
DECIMAL = r"^[-+]?[0-9]*\.[0-9]+([eE][-+]?[0-9]+)?$"


def impressions_of(log: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
    """Returns user, item (indices), time, clicked and context, sorted by time and user.

    Rows of one user at one time are one visit, and keep their order. Of the context stays what is
    a whole number, a truth value or text, has at most `MOST_VALUES` values and is no property of
    the item, which a request cannot say of all its candidates at once.

    Args:
        log: with the columns user, item, time and clicked.
        context: further columns of the same rows, under the names that requests will use.
    """
    taken = {*COLUMNS, *LABELS}  # another outcome is no context either
    kept = [_plain(c) for c in context.get_columns() if c.name.lower() not in taken]
    kept = [c for c in kept if c is not None and not _is_of_item(c, log["item"])]
    shown = log.select("user", "item", "time", "clicked").with_columns(kept)
    return shown.sort("time", "user", maintain_order=True)


def telling(impressions: pl.DataFrame) -> list[tuple[str, int]]:
    """Names of context columns that give clicks away, and the impressions in which they do.

    These are impressions with a value that was always clicked, ten times as many as chance would
    bring: seconds spent, a purchase. What is known only after a click is no context.
    """
    share = pl.lit(impressions["clicked"].mean())
    found = []
    for name in impressions.drop(NO_CONTEXT, strict=False).columns:
        values = impressions.group_by(pl.col(name).alias("")).agg(
            n=pl.len(), clicks=pl.col("clicked").sum()
        )
        always = int(values.filter(pl.col("n") == pl.col("clicks"))["n"].sum())
        by_chance = values.select((pl.col("n") * share ** pl.col("n")).sum()).item()
        if always >= FEWEST_TOLD and always > 10 * by_chance:
            found.append((name, always))
    return found


def _plain(column: pl.Series) -> pl.Series | None:
    """A column of few values as whole numbers or text; None where it is something else."""
    kind = column.dtype
    if kind == pl.Boolean:  # as Python, and with it the server, writes them
        return column.replace_strict({True: "True", False: "False"}, return_dtype=pl.String)
    if kind in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    elif not (kind.is_integer() or kind == pl.String):
        return None
    if column.n_unique() > MOST_VALUES:
        return None
    if kind == pl.String and column.str.contains(DECIMAL).any():
        numbers = column.cast(pl.Float64, strict=False)
        if numbers.null_count() == column.null_count():  # measured: in a file it came as text
            return None
    return column


def _is_of_item(column: pl.Series, items: pl.Series) -> bool:
    """Whether a column is always the same for an item, with items that come more than once."""
    n_items = items.n_unique()
    both = pl.DataFrame([items.alias("item"), column.alias("value")])
    return len(items) > n_items and both.n_unique() == n_items
