"""Is it one of the public sets that click models are measured on? Frappe, MovieLens-1M, Criteo."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from etalage.data.features import FeatureTable
from etalage.data.fields import Bag, Category, FieldKind, Fields, Log2
from etalage.data.formats.clicks import read_clicks
from etalage.data.formats.movielens import TABLES
from etalage.data.formats.source import read_columns, read_separated, read_text
from etalage.data.vocabulary import ClickVocabulary
from etalage.errors import DataError

FRAPPE = (
    "user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country",
    "city",
)  # fmt: skip
MOVIELENS: Fields = {
    **dict.fromkeys(("user", "gender", "age", "occupation", "movie", "release_decade"), Category()),
    "genres": Bag(length=5, separator="|"),
}
CRITEO = (*(f"I{n}" for n in range(1, 14)), *(f"C{n}" for n in range(1, 27)))


class ClickTables(NamedTuple):
    """Rows to fit on, to choose by, and to measure on; coded by the vocabulary of the first."""

    train: FeatureTable
    valid: FeatureTable
    test: FeatureTable


def frappe(folder: Path, *, min_count: int = 1) -> ClickTables:
    """Reads Frappe as Cheng, Shen and Huang (2020) split it: which app is used in which context.

    The files are `train`, `valid` and `test`, each `.csv` or `.csv.gz`, with a header.

    Args:
        folder: where the files are.
        min_count: values in fewer training rows are unknown.

    Raises:
        DataError: for a file or a column that is missing.
    """
    frames = []
    for part in ClickTables._fields:
        path = folder / f"{part}.csv.gz"
        frame = read_clicks(path if path.exists() else path.with_suffix(""))
        frames.append(frame)
    return _coded(frames, dict.fromkeys(FRAPPE, Category(min_count=min_count)))


def movielens_1m(folder: Path, *, seed: int = 0) -> ClickTables:
    """Makes a click log of MovieLens-1M as AutoInt (Song et al., 2019) does.

    A rating above 3 is a click, one below is none, and a 3 is left out. Rows are shuffled, then
    eight tenths train, a tenth chooses and a tenth measures.

    Args:
        folder: has `ratings.parquet` (user, movie, rating), `users.dat` and `movies.dat`.
        seed: of the shuffle; the published one is not known.

    Raises:
        DataError: for a file or a column that is missing, and an id that is not described.
    """
    ratings = read_columns(folder / "ratings.parquet")
    if absent := {"user", "movie", "rating"} - set(ratings.columns):
        raise DataError(f"ratings.parquet has no {sorted(absent)}; it has {ratings.columns}")
    users = read_separated(folder / "users.dat", *TABLES["users.dat"])
    movies = read_separated(folder / "movies.dat", *TABLES["movies.dat"]).rename({"item": "movie"})
    year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64)
    decade = (year // 10 * 10).clip(1920, 1990)  # the ends are thin: 1919, and the year 2000
    rows = (
        ratings.filter(pl.col("rating") != 3)
        .select("user", "movie", label=(pl.col("rating") > 3).cast(pl.Int8))
        .cast({"user": pl.Int64, "movie": pl.Int64})
        .join(users, on="user", how="left", maintain_order="left")
        .join(movies, on="movie", how="left", maintain_order="left")
        .with_columns(release_decade=decade)
    )
    for key, found in (("user", "gender"), ("movie", "title")):
        unknown = rows.filter(pl.col(found).is_null())[key]
        if len(unknown):
            raise DataError(
                f"{key} {unknown[0]} of ratings.parquet is not in {key}s.dat of {folder}; the "
                "files must be of one release"
            )
    n = len(rows)
    rows = rows[np.random.default_rng(seed).permutation(n)]
    ends = (0, int(n * 0.8), int(n * 0.9), n)
    frames = [rows[start:end] for start, end in pairwise(ends)]
    return _coded(frames, MOVIELENS)


def criteo(path: Path) -> pl.DataFrame:
    """Reads raw Criteo rows: the label, 13 whole numbers I1 to I13, and 26 hashes C1 to C26.

    Raises:
        DataError: for a missing file, and for a row without 40 cells.
    """
    lines = read_text(path).rstrip("\n").split("\n")
    for row, line in enumerate(lines, 1):
        if (n_cells := line.count("\t") + 1) != 1 + len(CRITEO):
            raise DataError(
                f"{path.name}, row {row:,}, has {n_cells} cells; a Criteo row has "
                f"{1 + len(CRITEO)}, separated by tabs. Remove this row, or complete it"
            )
    frame = read_clicks(path)
    return frame.rename(dict(zip(frame.columns[1:], CRITEO, strict=True)))


def criteo_fields(min_count: int = 10) -> dict[str, FieldKind]:
    """The fields of Criteo as they are mostly read, all as codes."""
    number, value = Log2(min_count=min_count), Category(min_count=min_count)
    return {name: number if name.startswith("I") else value for name in CRITEO}


def _coded(frames: list[pl.DataFrame], fields: Fields) -> ClickTables:
    vocabulary = ClickVocabulary.learn(frames[0], fields, person="user")
    return ClickTables(*map(vocabulary.table, frames))
