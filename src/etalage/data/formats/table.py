"""Is it a table? Separated text, Parquet, JSON lines and data frames with named columns."""

from __future__ import annotations

import re
from typing import Any

from etalage.data.formats.raw import Names, RawLog, listed, raw_log
from etalage.data.formats.source import columns_of, label, read_columns
from etalage.errors import DataError, did_you_mean

NO_COLUMN = "none"
"""Given for a column that is optional: there is none, whatever columns are called. Without times
rows are in time order."""
OPTIONAL = ("time", "value", "clicked")

# names of columns, without case and without anything but letters
KNOWN_AS = {
    "clicked": ["clicked", "click", "isclick"],  # a label may be anything, and must be named
    "user": [
        "user", "userid", "uid", "visitor", "visitorid", "customer", "customerid", "client",
        "clientid", "member", "memberid", "reader", "readerid", "reviewerid", "person", "session",
        "sessionid",
    ],
    "item": [
        "item", "itemid", "iid", "product", "productid", "article", "articleid", "asin",
        "parentasin", "movie", "movieid", "book", "bookid", "bid", "news", "newsid", "track",
        "trackid", "song", "songid", "artist", "artistid", "video", "videoid", "game", "gameid",
        "sku", "isbn", "business", "businessid",
    ],
    "time": [
        "time", "timestamp", "ts", "datetime", "date", "eventtime", "createdat", "clicktime",
        "unixreviewtime", "timems", "position",
    ],
    "value": ["value", "rating", "ratings", "score", "stars", "weight", "count", "overall"],
}  # fmt: skip


def read(source: Any, names: Names, *, encoding: str = "utf-8") -> RawLog:
    """Reads a table with a user, an item, a time and perhaps a value and a clicked column.

    Columns that are not named are recognised by common names ("userId", "product_id",
    "timestamp"). Further columns are left out, but for a click log, where they are the context.

    Raises:
        DataError: for a column that is not there, a broken file, wrong types, no rows.
    """
    where = label(source)
    names = resolve(names, columns_of(source, encoding), where)
    wanted = [name for name in vars(names).values() if name is not None]
    frame = read_columns(source, None if names.clicked else wanted, encoding)
    return raw_log(frame, names, where=where, format="table")


def resolve(names: Names, columns: list[str], where: str) -> Names:
    """Returns the names of all columns; those that are optional are None where there is none.

    Raises:
        DataError: when a named column does not exist, or user, item or time is not recognised.
    """
    named = [name for name in vars(names).values() if name not in (None, NO_COLUMN)]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise DataError(f"column {twice!r} of {where} was named for two roles; each needs its own")
    found: dict[str, str | None] = {}
    for role in KNOWN_AS:
        name = getattr(names, role)
        if name in columns:
            found[role] = name
        elif role in OPTIONAL and name == NO_COLUMN:
            found[role] = None
        elif name is not None:
            raise DataError(
                f"column {name!r} not found in {where}{did_you_mean(name, columns)}; "
                f"its columns are {listed(columns)}. {_name_it(role)}"
            )
        else:
            taken = {*named, *found.values()}
            if role == "time" and found["clicked"]:  # a place in the window, not in an order
                taken |= {name for name in columns if name.lower() == "position"}
            found[role] = recognise(role, [c for c in columns if c not in taken])
            if found[role] is None and role not in ("value", "clicked"):
                raise DataError(
                    f"cannot tell which column of {where} is the {role}"
                    f"{did_you_mean(role, columns)}; its columns are {listed(columns)}. "
                    f"{_name_it(role)}"
                )
    return Names(**found)


def recognise(role: str, columns: list[str]) -> str | None:
    """Returns the column whose name usually plays a role, or None.

    >>> recognise("item", ["userId", "movieId", "rating"])
    'movieId'
    """
    by_plain_name = {re.sub(r"[^a-z]", "", c.lower()): c for c in reversed(columns)}
    return next((by_plain_name[k] for k in KNOWN_AS[role] if k in by_plain_name), None)


def _name_it(role: str) -> str:
    rows = " and rows are in time order" if role == "time" else ""
    none = f", or --{role} {NO_COLUMN} when there is none{rows}" if role in OPTIONAL else ""
    return f"Name the {role} column with --{role} COLUMN ({role}='COLUMN' in Python){none}."
