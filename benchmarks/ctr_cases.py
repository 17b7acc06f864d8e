"""What is timed? Models, the data they learn from, and the matrix products that they cannot avoid.

Letters: F fields, D width of a field, d = F D.
"""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.data.features import FeatureTable
from etalage.data.formats.ctr import frappe, movielens_1m

DATA = Path(os.environ.get("ETALAGE_DATA", Path(__file__).parents[1] / "../shared/data")) / "ctr"
PARTS = ("train", "valid")
SYNTHETIC_ROWS = (600_000, 50_000)
"""Of two parts. Tables moved by touch are brought up to date once an epoch, so an epoch must not be
much shorter than those of a log with so many codes (Criteo's has 36 million rows)."""
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
                "table_decay": 1e-5, "vector_decay": 0.0,
                "table_updates": "touched" if n_codes > 1_000_000 else "all"}  # fmt: skip
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
        {"kind": "dcn_v2", "width": 10, "n_crosses": 3, "hidden": [400] * 3, "batch_norm": True,
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
        train, valid, _ = (
            frappe(DATA / "frappe_x1r", min_count=2)
            if data == "frappe"
            else movielens_1m(DATA / "movielens-1m")
        )
        tables = (train, valid)
    for part, table in zip(PARTS, tables, strict=True):
        table.save(folder / part)
        columns = {f"f{n:02}": codes for n, codes in enumerate(table.categories.T)}
        columns["label"] = table.labels
        np.savez(
            folder / f"{part}.npz", **{name: c.astype(np.int64) for name, c in columns.items()}
        )
    return tables


def values(n_codes: int) -> NDArray[np.int64]:
    """Values of each of 39 fields, code 0 apart: few are huge and most tiny, as in the Criteo log.

    Each field has three quarters of the values of the one before.
    """
    known = np.maximum((n_codes / 4 * 0.75 ** np.arange(39)).astype(np.int64), 2)
    known[0] += n_codes - 39 - known.sum()
    return known


def synthetic(n_codes: int, rows: tuple[int, int] = SYNTHETIC_ROWS) -> Tables:
    """Ids in the shape of the Criteo log: 39 fields of `values`, Zipf 1.05.

    Clicks are drawn at a quarter,
    and follow from nothing: only speed can be read off these rows.
    """
    rng = np.random.default_rng(0)
    known, blocks = values(n_codes), []
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
