"""Claims about AutoGraph: what factors are worth beside a graph that reads the same texts.

Amazon Beauty, Amazon Books and MovieLens-1M with titles, cut leave-one-out and by time; all items
ranked, what a person took hidden, the state kept the best on validation data. Every run is kept as
a line of `runs/autograph/results.jsonl`, and one that was interrupted goes on where it stopped. A
row is the mean of the runs that are there.

    python benchmarks/autograph_quality.py [--data beauty] [--split leave_one_out] [--rows ...]
    python benchmarks/autograph_quality.py --computed      # records what is there
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import torch

import runs
from claims import commit, record
from etalage.artefact import sha256_of
from etalage.data.dataset import Dataset
from etalage.data.ingest import open_dataset
from etalage.data.split import Split, global_time, leave_one_out
from etalage.evaluate.ranking import evaluate_recommender
from etalage.evaluate.significance import runs_interval
from etalage.models.registry import build
from etalage.train.context import TrainContext

HERE = Path(__file__).parents[1]
OUT = HERE / "runs" / "autograph"
RUNS = runs.Runs(OUT)
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "sequences"
LOGS = {"beauty": "amazon2014-beauty", "books": "amazon2014-book", "movies": "movielens-1m"}
SPLITS = {"leave_one_out": leave_one_out, "global_time": global_time}
METRICS = ("hit_rate@20", "ndcg@20")
LOG_ALONE = 'paths=["items_to_users", "users_to_items"]'
MINILM = ["knowledge.text_encoder=minilm", "knowledge.vector_width=384"]
ROWS: dict[str, tuple[str, list[str]]] = {
    "popularity": ("popularity", []),
    "item-kNN + Markov": ("item_knn_markov", []),
    "MF": ("mf", []),
    "LightGCN": ("lightgcn", []),
    "LightGCN + text": ("autograph", [LOG_ALONE]),
    "AutoGraph": ("autograph", []),
    "AutoGraph, as published": ("autograph", ["form=attention", "max_neighbours=15"]),
    "AutoGraph, no text in the vectors": ("autograph", ["features=false"]),
    "AutoGraph, no user factors": (
        "autograph", ['paths=["item_factors", "items_to_users", "users_to_items"]']),
    "AutoGraph, no item factors": (
        "autograph", ['paths=["user_factors", "items_to_users", "users_to_items"]']),
    "AutoGraph, items hear no users": (
        "autograph", ['paths=["user_factors", "item_factors", "items_to_users"]']),
    "AutoGraph, users hear no items": (
        "autograph", ['paths=["user_factors", "item_factors", "users_to_items"]']),
    "AutoGraph, a gate a node": ("autograph", ["gate=node"]),
    "AutoGraph, one level of factors": ("autograph", ["knowledge.n_levels=1"]),
    "AutoGraph, finer factors": (
        "autograph", ["knowledge.n_user_codes=2048", "knowledge.n_item_codes=2048"]),
    "LightGCN + text by MiniLM": ("autograph", [*MINILM, LOG_ALONE]),
    "AutoGraph, text by MiniLM": ("autograph", MINILM),
}  # fmt: skip
"""A row is a recipe's model with some settings changed."""
BASE = "LightGCN + text"
TOLD = " + what GPT-3.5 says of books"
"""Rows on the log of books whose titles have a sentence of a language model beside them."""


def settings_of(row: str) -> dict[str, Any]:
    """What the row's model is built with."""
    recipe, changes = ROWS[row.removesuffix(TOLD)]
    return runs.settings_of(recipe, changes)


def key_of(row: str, log: str, split: str, seed: int) -> str:
    settings = build(settings_of(row)).config.to_dict()
    return runs.key_of(settings, row.endswith(TOLD), log, split, seed)


def opened(log: str, *, told: bool) -> Dataset:
    """A log with titles; `told` lays beside them what ONCE's language model says of such books."""
    data = open_dataset(DATA / "timestamped" / LOGS[log])
    if not told:
        return data
    folder = DATA / "goodreads-once"
    titles = pl.read_csv(folder / "book.csv", separator="\t", quote_char=None)
    said = dict(pl.read_csv(folder / "book-desc.csv").iter_rows())
    of_title = {plain(title): said[book] for book, title in titles.iter_rows() if book in said}
    assert data.item_table is not None
    described = [of_title.get(plain(title), "") for title in data.item_table["title"]]
    table = data.item_table.with_columns(pl.Series("description", described))
    return Dataset(data.name, data.interactions, data.users, data.items, item_table=table)


def plain(title: str) -> str:
    """A title without edition, subtitle and marks."""
    return re.sub(r"[^a-z0-9 ]", "", re.sub(r"\(.*?\)", "", title.lower()).split(":")[0]).strip()


def run(row: str, log: str, split_name: str, seed: int) -> dict[str, Any]:
    """Fits one seed; returns test figures with what it cost."""
    key, data = key_of(row, log, split_name, seed), opened(log, told=row.endswith(TOLD))
    split: Split = SPLITS[split_name](data.interactions)
    model = build(settings_of(row))

    def monitor(model: Any) -> dict[str, float]:
        return evaluate_recommender(model, split.valid, ks=(10, 20)).metrics

    folder = OUT / "fits" / key
    context = TrainContext(
        seed=seed, folder=folder, monitor=monitor, threads=torch.get_num_threads()
    )
    fit = model.fit(data.with_interactions(split.train), context)
    found = evaluate_recommender(model, split.test, ks=(20,)).metrics
    line = {"key": key, "row": row, "data": log, "split": split_name, "seed": seed}
    line |= {name: found[name] for name in METRICS} | {"commit": commit()}
    line |= {"best_epoch": fit.best_epoch, "cpu_seconds": fit.cpu_seconds}
    line |= {"gates": getattr(model, "gates", {})}
    RUNS.keep(line)
    shutil.rmtree(folder, ignore_errors=True)
    return line


def claims(log: str, split: str, seeds: list[int]) -> None:
    """Records every row of a log that has been run, and what AutoGraph is worth beside its base."""
    ended = RUNS.known()
    data_hash = sha256_of(DATA / "timestamped" / LOGS[log] / "interactions.parquet")[:16]
    seeded: dict[str, dict[int, float]] = {}  # of each row its last metric by seed
    for row in rows_of(log):
        found = [ended[key] for seed in seeds if (key := key_of(row, log, split, seed)) in ended]
        if not found:
            continue
        where = f"on {log}, {split.replace('_', ' ')}"
        common = {"seeds": [line["seed"] for line in found], "data_hash": data_hash,
                  "seconds": sum(line["cpu_seconds"] for line in found),
                  "measured_at": runs.measured_at(found)}  # fmt: skip
        seeded[row] = {line["seed"]: line[METRICS[-1]] for line in found}
        for metric in METRICS:
            claim = f"{row} {metric} {where}"
            record("graph", claim, mean(line[metric] for line in found), "", ">=0", **common)
            if len(found) > 1:
                low, high = runs_interval([line[metric] for line in found])
                record("graph", f"{claim}, half of the 95 % interval over seeds",
                       (high - low) / 2, "", "<=1", **common)  # fmt: skip
        record("graph", f"CPU-minutes of {row} {where}", common["seconds"] / 60 / len(found),
               "min", "<=1000", **common)  # fmt: skip
        for side in found[0]["gates"]:
            weight = mean(line["gates"][side] for line in found)
            record("graph", f"what factors of {side} count in {row} {where}", weight, "", ">=-9",
                   **common)  # fmt: skip
        base = f"{BASE} by MiniLM" if row.endswith("by MiniLM") else BASE
        both = seeded[row].keys() & seeded.get(base, {}).keys()
        if row.startswith("AutoGraph") and both:
            of = [mean(seeded[name][seed] for seed in both) for name in (row, base)]
            gain = of[0] / of[1] - 1
            bar = ">=0.05" if row in ("AutoGraph", "AutoGraph, as published") else ">=-1"
            record("graph", f"{row} over {base}, ndcg@20 {where}", gain, "", bar, **common)


def rows_of(log: str) -> list[str]:
    told = [row + TOLD for row in (BASE, "AutoGraph")] if log == "books" else []
    return [*ROWS, *told]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="*", default=[*LOGS], choices=[*LOGS])
    parser.add_argument("--split", nargs="*", default=[*SPLITS], choices=[*SPLITS])
    parser.add_argument("--rows", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--computed", action="store_true", help="only records what is there")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no sequences in the data folder; set ETALAGE_DATA")
    OUT.mkdir(parents=True, exist_ok=True)
    for log in options.data:
        for split in options.split:
            if options.computed:
                claims(log, split, options.seeds)
                continue
            for row in options.rows or rows_of(log):
                is_drawn = ROWS[row.removesuffix(TOLD)][0] not in ("popularity", "item_knn_markov")
                for seed in options.seeds if is_drawn else options.seeds[:1]:
                    if key_of(row, log, split, seed) not in RUNS.known():
                        line = run(row, log, split, seed)
                        figures = {metric: round(line[metric], 4) for metric in METRICS}
                        print(row, log, split, seed, figures, line["best_epoch"],
                              f"{line['cpu_seconds']:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
