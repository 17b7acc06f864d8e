"""Do click predictors reach what was published of them? Every row of a table, over seeds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from etalage.errors import DataError
from etalage.pipeline.ctr import ClickJob, ClickTables, Results, device_name, forget, hash_of
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
    asked: Sequence[Row] | None = None,
    progress: bool = False,
    device: str = "cpu",
) -> list[Line]:
    """Computes a table again; leaves `results.jsonl`, `table.md`, `table.csv` and `table.svg`.

    What `results.jsonl` has of the same settings, data, seed and version is taken from there, and
    a fit that was interrupted goes on from its checkpoint, so the same call ends what it began.
    The files of the table are written after every row, with every row that has all its runs, be
    it from now or from before, in the order of the table; so are the lines that are returned.

    Args:
        table: what was published.
        load: reads the three parts with the settings that a row gives (`Row.data`).
        out: folder of the results.
        n_seeds: runs of each row, with seeds 0, 1, ...
        say: takes one line a run, as it ends.
        asked: the rows of the table to run; None for all.
        progress: show progress bars on a terminal.
        device: cpu or cuda.

    Raises:
        RecipeError: for a setting or a device that does not exist, before any work.
        CapacityError: where there is no accelerator to run on, before any work.
    """
    device_name(device)
    for row in table.rows:
        ClickJob.of(row.ranker, 0, "")
    data, results = Data(load), Results(out / "results.jsonl")
    lines = _known(table, n_seeds, data, results)
    for row in table.rows if asked is None else asked:
        found = [
            _result(row, seed, data, results, out, say, progress=progress, device=device)
            for seed in range(n_seeds)
        ]
        lines[row.name] = line_of(row, found)
        write(table, _in_order(table, lines), out)
    return _in_order(table, lines)


class Data:
    """The tables of rows; one at a time is held, as rows of like data stand together."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.held: dict[str, ClickTables] = {}
        self.hashes: dict[str, str] = {}

    def tables(self, row: Row) -> ClickTables:
        """Reads them, unless they are those of the row before."""
        key = _data_key(row)
        if key not in self.held:
            self.held = {}
            self.held = {key: self.load(row.data)}
        return self.held[key]

    def hash(self, row: Row) -> str:
        """What `hash_of` says of them."""
        key = _data_key(row)
        if key not in self.hashes:
            self.hashes[key] = hash_of(self.tables(row))
        return self.hashes[key]


def _data_key(row: Row) -> str:
    return json.dumps(row.data, sort_keys=True)


def runs_of(row: Row, n_seeds: int, data: Data, results: Results) -> list[dict[str, Any]]:
    """Those results of a row's seeds that are there already."""
    jobs = [ClickJob.of(row.ranker, seed, data.hash(row)) for seed in range(n_seeds)]
    return [result for job in jobs if (result := results.of(job)) is not None]


def _known(table: Table, n_seeds: int, data: Data, results: Results) -> dict[str, Line]:
    """Lines of the rows whose runs have all been made, by name."""
    named = {result.get("name") for result in results.all()}
    lines = {}
    for row in table.rows:
        if row.name not in named:
            continue  # its data need not be read
        if len(found := runs_of(row, n_seeds, data, results)) == n_seeds:
            lines[row.name] = line_of(row, found)
    return lines


def _in_order(table: Table, lines: dict[str, Line]) -> list[Line]:
    return [lines[row.name] for row in table.rows if row.name in lines]


def _result(
    row: Row,
    seed: int,
    data: Data,
    results: Results,
    out: Path,
    say: Say,
    *,
    progress: bool,
    device: str,
) -> dict[str, Any]:
    """The result of one row and seed, from the file where it is there."""
    job = ClickJob.of(row.ranker, seed, data.hash(row))
    key = job.key
    place = f"{key['kind']}-{key['settings_hash'][:8]}-{key['data_hash'][:8]}-{seed}"
    folder = out / "fits" / place
    result, note = results.of(job), ", as before"
    if result is None:
        result, note = job.run(data.tables(row), folder, progress=progress, device=device), ""
        results.append({"name": row.name, **result})
    forget(folder)  # after a kill since the result was kept, too
    say(
        f"{row.name}, seed {seed}: AUC {result['auc']:.4f}, log-loss {result['log_loss']:.4f}, "
        f"{result['epochs']} epochs, {result['seconds']:.0f} s{note}"
    )
    return result
