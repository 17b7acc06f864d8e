"""What is timed? Models, the data they learn from, and the matrix products that they cannot avoid.

Letters: F fields, D width of a field, d = F D.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.data.features import FeatureTable

DATA = Path(os.environ.get("ETALAGE_DATA", Path(__file__).parents[1] / "../shared/data")) / "ctr"
PARTS = ("train", "valid")
SYNTHETIC_ROWS = (200_000, 50_000)
Tables = tuple[FeatureTable, FeatureTable]


@dataclass(frozen=True)
class Case:
    """One model on one data set, and what is claimed of it."""

    name: str
    data: str
    settings: dict[str, Any]
    """Our settings of the model, `training` apart; a peer reads the same."""
    batch_size: int
    peer: str | None = None
    """What it is timed beside: 'fuxictr', 'paper', or nothing."""
    times: float | None = None
    """Training rows a second, as a multiple of the peer's."""
    rows: float | None = None
    """Training rows a second."""


def _deepfm(n_codes: int, times: float) -> Case:
    settings = {"kind": "deepfm", "width": 16, "hidden": [400] * 3, "dropout": 0.2,
                "table_decay": 1e-5, "vector_decay": 0.0}  # fmt: skip
    name = f"DeepFM on {n_codes:,} synthetic codes"
    return Case(name, f"synthetic-{n_codes}", settings, 10_000, "fuxictr", times=times)


CASES = (
    Case(
        "FM on Frappe", "frappe",
        {"kind": "fm", "width": 10, "table_decay": 0.0, "vector_decay": 0.0},
        4096, "fuxictr", times=4,
    ),
    Case(
        "DCN-V2 on Frappe", "frappe",
        {"kind": "dcn", "width": 10, "n_crosses": 3, "hidden": [400] * 3, "batch_norm": True,
         "dropout": 0.4, "table_decay": 0.05, "vector_decay": 0.0},
        4096, "fuxictr", times=2.5,
    ),
    _deepfm(910_784, 3),
    _deepfm(5_000_000, 8),
    Case(
        "QNN-alpha on Frappe", "frappe",
        {"kind": "qnn", "width": 16, "n_layers": 2, "n_rows": 13, "n_heads": 1, "dropout": 0.1,
         "objective": "self_ensemble", "table_decay": 0.1, "vector_decay": 0.0},
        4096, "paper", times=10, rows=30_000,
    ),
    Case(
        "QNN-alpha on ML-1M", "movielens",
        {"kind": "qnn", "width": 16, "n_layers": 1, "n_rows": 4, "n_heads": 4, "dropout": 0.1,
         "objective": "self_ensemble", "table_decay": 0.01, "vector_decay": 0.0},
        4096, rows=200_000,
    ),
)  # fmt: skip


def maps(settings: dict[str, Any], n_fields: int) -> list[tuple[int, int]]:
    """Linear maps of one pass, as (columns in, columns out); those to one column are left out."""
    d = n_fields * settings["width"]
    deep = [*pairwise((d, *settings.get("hidden", ())))]
    crosses = [(d, d)] * settings.get("n_crosses", 0)
    quadratic = [(d, settings.get("n_rows", 0) * d)] * settings.get("n_layers", 0)
    return crosses + deep + quadratic


def trained_maps(settings: dict[str, Any], n_fields: int) -> list[tuple[int, int]]:
    """Linear maps of a training step; two passes share the first."""
    once = maps(settings, n_fields)
    return once + once[1:] if settings.get("objective") == "self_ensemble" else once


def write(data: str, folder: Path) -> Tables:
    """Makes a data set, and writes it for both sides: feature tables, and npz by column."""
    if data.startswith("synthetic"):
        tables = synthetic(int(data.split("-")[1]))
    else:
        readers: dict[str, Callable[[], Tables]] = {"frappe": frappe, "movielens": movielens}
        tables = readers[data]()
    for part, table in zip(PARTS, tables, strict=True):
        table.save(folder / part)
        columns = {f"f{n:02}": codes for n, codes in enumerate(table.categories.T)}
        columns["label"] = table.labels
        np.savez(
            folder / f"{part}.npz", **{name: c.astype(np.int64) for name, c in columns.items()}
        )
    return tables


def frappe() -> Tables:
    """Frappe_x1-R; apps seen once are unknown."""
    frames = [pl.read_csv(DATA / "frappe_x1r" / f"{part}.csv.gz") for part in PARTS]
    return _coded(*frames, rare=2)


def movielens() -> Tables:
    """MovieLens-1M without ratings of 3, a click above 3; genres of a film are one value."""
    folder = DATA / "movielens-1m"
    users = _fields(folder / "users.dat", ["user", "gender", "age", "occupation", "zip"])
    films = _fields(folder / "movies.dat", ["movie", "title", "genres"])
    year = pl.col("title").str.extract(r"\((\d{4})\)$").cast(pl.Int64)
    films = films.select("movie", (year // 10).alias("decade"), pl.col("genres").rank("dense"))
    ratings = pl.read_parquet(folder / "ratings.parquet").filter(pl.col("rating") != 3)
    keys = ratings.select("user", "movie", label=(pl.col("rating") > 3).cast(pl.Int8)).cast(
        {"user": pl.Int64, "movie": pl.Int64}
    )
    users = users.drop("zip").with_columns(pl.col("gender").rank("dense"))
    rows = keys.join(users, on="user").join(films, on="movie")
    rows = rows.sort("user", "movie").sample(fraction=1.0, shuffle=True, seed=2024)
    n = len(rows)
    return _coded(rows[: int(0.8 * n)], rows[int(0.8 * n) : int(0.9 * n)], rare=1)


def _fields(path: Path, names: list[str]) -> pl.DataFrame:
    """A table of the log; whole numbers are read as such."""
    lines = [line.split("::") for line in path.read_text(encoding="latin-1").splitlines()]
    frame = pl.DataFrame(lines, schema=names, orient="row")
    whole = [name for name in names if name in ("user", "movie", "age", "occupation")]
    return frame.cast(dict.fromkeys(whole, pl.Int64))


def _coded(train: pl.DataFrame, valid: pl.DataFrame, *, rare: int) -> Tables:
    """Codes from 1 for values with `rare` training rows, 0 for all others."""
    names = [name for name in train.columns if name != "label"]
    known = {}
    for name in names:
        values, counts = np.unique(train[name].to_numpy(), return_counts=True)
        known[name] = values[counts >= rare]
    sizes = {name: len(values) + 1 for name, values in known.items()}

    def table(frame: pl.DataFrame) -> FeatureTable:
        blocks = []
        for name, values in known.items():
            asked = frame[name].to_numpy()
            place = np.searchsorted(values, asked).clip(max=len(values) - 1)
            blocks.append(np.where(values[place] == asked, place + 1, 0))
        return _table(sizes, np.column_stack(blocks), frame["label"].to_numpy())

    return table(train), table(valid)


def synthetic(n_codes: int, rows: tuple[int, int] = SYNTHETIC_ROWS) -> Tables:
    """Ids in the shape of the Criteo log: 39 fields, few of them huge and most tiny, Zipf 1.05.

    Each field has three quarters of the values of the one before. Clicks are drawn at a quarter,
    and follow from nothing: only speed can be read off these rows.
    """
    rng = np.random.default_rng(0)
    shares = n_codes / 4 * 0.75 ** np.arange(39)
    known = np.maximum(shares.astype(np.int64), 2)  # values of a field, code 0 apart
    known[0] += n_codes - 39 - known.sum()
    blocks = []
    for size in known:
        chances = np.cumsum(np.arange(1, size + 1) ** -1.05)
        blocks.append(1 + np.searchsorted(chances, chances[-1] * rng.random(sum(rows))))
    codes = np.column_stack(blocks)
    clicks = rng.random(sum(rows)) < 0.25
    sizes = {f"field_{n + 1}": int(size) + 1 for n, size in enumerate(known)}
    cut = rows[0]
    return _table(sizes, codes[:cut], clicks[:cut]), _table(sizes, codes[cut:], clicks[cut:])


def _table(sizes: dict[str, int], codes: NDArray[Any], clicks: NDArray[Any]) -> FeatureTable:
    numbers = np.zeros((len(codes), 0), np.float32)
    codes = np.ascontiguousarray(codes, dtype=np.int32)
    return FeatureTable(sizes, codes, (), numbers, clicks.astype(np.int8))
