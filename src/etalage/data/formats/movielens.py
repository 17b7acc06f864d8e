"""Is it MovieLens as GroupLens publishes it? The three generations of its files.

| release | log | films | people |
|---|---|---|---|
| 100K | u.data (tabs) | u.item (bars, latin-1) | u.user (bars) |
| 1M, 10M | ratings.dat (::) | movies.dat (::, latin-1) | users.dat (::) |
| 20M and later | ratings.csv | movies.csv | none |
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from etalage.data.formats.raw import Names, RawLog, raw_log
from etalage.data.formats.source import read_columns, read_separated
from etalage.errors import DataError

LOGS = {"u.data": "\t", "ratings.dat": "::"}
RATINGS = ["user", "item", "rating", "timestamp"]
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
TABLES = {
    "u.item": ("|", ["item", "title", "release_date", "video_date", "url", *GENRES]),
    "u.user": ("|", ["user", "age", "gender", "occupation", "zip_code"]),
    "movies.dat": ("::", ["item", "title", "genres"]),
    "users.dat": ("::", ["user", "gender", "age", "occupation", "zip_code"]),
}


def is_log(path: Path) -> bool:
    """Whether a file is the log of a MovieLens release, by its name and its neighbours."""
    return path.name in LOGS or (
        path.name == "ratings.csv" and (path.parent / "movies.csv").exists()
    )


def read(path: Path, names: Names) -> RawLog:
    """Reads the ratings, with films and people where their files lie beside.

    Raises:
        DataError: for renamed columns, a broken file, wrong types, no rows.
    """
    if names.given():
        raise DataError(
            f"{path.name} is a MovieLens file, whose columns are known; leave out "
            + ", ".join(f"--{role}" for role in names.given())
        )
    if path.name in LOGS:
        frame = read_separated(path, LOGS[path.name], RATINGS)
        items = _table(path.parent / ("u.item" if path.name == "u.data" else "movies.dat"))
        users = _table(path.parent / ("u.user" if path.name == "u.data" else "users.dat"))
    else:
        frame = read_columns(path, ["userId", "movieId", "rating", "timestamp"])
        frame = frame.rename({"userId": "user", "movieId": "item"})
        items = read_columns(path.parent / "movies.csv").rename({"movieId": "item"})
        users = None
    named = Names("user", "item", "timestamp", "rating")
    films = None if items is None else _with_category(items)
    return raw_log(frame, named, where=path.name, format="movielens", items=films, users=users)


def _table(path: Path) -> pl.DataFrame | None:
    if not path.exists():
        return None
    return read_separated(path, *TABLES[path.name])


def _with_category(items: pl.DataFrame) -> pl.DataFrame:
    """Brings the genres, flags in the oldest files and text in the newer, to a list of names."""
    if "genres" in items.columns:
        genres = pl.col("genres").str.split("|").alias("category")
        return items.with_columns(genres).drop("genres")
    flagged = [pl.when(pl.col(g) == 1).then(pl.lit(g)) for g in GENRES]
    return items.with_columns(category=pl.concat_list(flagged).list.drop_nulls()).drop(GENRES)
