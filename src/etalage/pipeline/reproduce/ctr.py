"""Do click predictors reach what was published of them? Every row of a table, over seeds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from etalage.errors import DataError
from etalage.pipeline.ctr import ClickJob, ClickTables, Results, hash_of
from etalage.pipeline.reproduce.published import Row, Table
from etalage.pipeline.reproduce.summary import Line, line_of, write
from etalage.pipeline.stages import Say

LOADERS = {
    "frappe": ("etalage.data.formats.ctr:frappe", "ctr/frappe_x1r"),
    "movielens-1m": ("etalage.data.formats.ctr:movielens_1m", "ctr/movielens-1m"),
}
"""What reads a data set, and where it lies in the data folder."""
Load = Callable[[dict[str, Any]], ClickTables]


def loader(data: str) -> Load:
    """Returns what reads a data set from the folder that ETALAGE_DATA names.

    Raises:
        DataError: where it is not there.
    """
    named, place = LOADERS[data]
    root = os.environ.get("ETALAGE_DATA")
    if root is None:
        raise DataError(f"set ETALAGE_DATA to the folder of data sets; {place} is read there")
    folder = Path(root) / place
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; set ETALAGE_DATA to the folder that has it")
    module, name = named.split(":")
    read = getattr(import_module(module), name)
    return lambda settings: read(folder, **settings)


def reproduce(
    table: Table,
    load: Load,
    out: Path,
    n_seeds: int,
    say: Say,
    *,
    progress: bool = False,
    device: str = "cpu",
) -> list[Line]:
    """Computes a table again; leaves `results.jsonl`, `table.md`, `table.csv` and `table.svg`.

    What `results.jsonl` has of the same settings, data, seed and version is taken from there, and
    a fit that was interrupted goes on from its checkpoint, so the same call ends what it began.
    The files of the table are written after every row.

    Args:
        table: what was published.
        load: reads the three parts with the settings that a row gives (`Row.data`).
        out: folder of the results.
        n_seeds: runs of each row, with seeds 0, 1, ...
        say: takes one line a run, as it ends.
        progress: show progress bars on a terminal.
        device: cpu or cuda.

    Raises:
        RecipeError: for a setting that does not exist, before any work.
    """
    for row in table.rows:
        ClickJob.of(row.ranker, 0, "")
    results, lines = Results(out / "results.jsonl"), []
    parts: dict[str, tuple[ClickTables, str]] = {}
    for row in table.rows:
        key = json.dumps(row.data, sort_keys=True)
        if key not in parts:
            parts = {
                key: _hashed(load(row.data))
            }  # one at a time: rows of like data stand together
        found = [
            _result(row, seed, *parts[key], results, out, say, progress=progress, device=device)
            for seed in range(n_seeds)
        ]
        lines.append(line_of(row, found))
        write(table, lines, out)
    return lines


def _hashed(tables: ClickTables) -> tuple[ClickTables, str]:
    return tables, hash_of(tables)


def _result(
    row: Row,
    seed: int,
    tables: ClickTables,
    data_hash: str,
    results: Results,
    out: Path,
    say: Say,
    *,
    progress: bool,
    device: str,
) -> dict[str, Any]:
    """The result of one row and seed, from the file where it is there."""
    job = ClickJob.of(row.ranker, seed, data_hash)
    result, note = results.of(job), ", as before"
    if result is None:
        key = job.key
        folder = out / "fits" / f"{key['kind']}-{key['settings_hash'][:8]}-{data_hash[:8]}-{seed}"
        result, note = job.run(tables, folder, progress=progress, device=device), ""
        results.append({"name": row.name, **result})
    say(
        f"{row.name}, seed {seed}: AUC {result['auc']:.4f}, log-loss {result['log_loss']:.4f}, "
        f"{result['epochs']} epochs, {result['seconds']:.0f} s{note}"
    )
    return result
