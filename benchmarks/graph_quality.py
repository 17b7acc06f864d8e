"""Claims about graph models: recall and NDCG at 20 on Gowalla and Yelp2018, as they were published.

The published logs have no validation part, so nothing here stops by one: `--choose` holds a tenth
of the training part back, and what was chosen there, epochs included, stands in the rows below.
Each row is judged by the vectors of its users, and folded in from their histories as well.
Every run is kept as a line of `runs/graph/results.jsonl`, and one that was interrupted goes on
where it stopped. A row is the mean of the runs that are there.

    python benchmarks/graph_quality.py [--data yelp] [--rows MF ...] [--seeds 1 2 3]
    python benchmarks/graph_quality.py --data yelp --rows MF --choose training.epochs=20
    python benchmarks/graph_quality.py --computed      # records what is there
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import runs
from claims import commit, record
from etalage.data.split import Queries
from etalage.evaluate.ranking import evaluate_recommender
from etalage.evaluate.significance import runs_interval
from etalage.models.registry import build
from etalage.train.context import TrainContext
from graph_data import DATA, Benchmark, for_choosing, published

HERE = Path(__file__).parents[1]
OUT = HERE / "runs" / "graph"
RUNS = runs.Runs(OUT)
METRICS = ("recall@20", "ndcg@20")
FIXED = ["training.monitor=null"]
PUBLISHED = ["loss=bpr", "n_layers=3", "sampling=user", "l2=1e-4"]
ROWS: dict[str, tuple[str, list[str]]] = {
    "GF-CF": ("gf_cf", []),
    "MF": ("mf", FIXED),
    "LightGCN, BPR": ("lightgcn", FIXED + PUBLISHED),
    "LightGCN": ("lightgcn", FIXED),
    "UltraGCN": ("ultragcn", FIXED),
    "SimGCL": ("simgcl", FIXED),
    "XSimGCL": ("xsimgcl", FIXED),
}
"""A row is a recipe's model with some settings changed."""
OF_LOG: dict[tuple[str, str], list[str]] = {}
"""What was chosen for a row on a log, beside what the row says."""
BARS = {
    ("MF", "yelp", "recall@20"): 0.0715,
    ("LightGCN, BPR", "gowalla", "recall@20"): 0.1820,
    ("LightGCN, BPR", "gowalla", "ndcg@20"): 0.1540,
    ("GF-CF", "yelp", "recall@20"): 0.0697,
    ("GF-CF", "yelp", "ndcg@20"): 0.0571,
}
"""What published tables say, where it was to be reached."""


def settings_of(row: str, name: str, more: list[str] | None = None) -> dict[str, Any]:
    """What the row's model is built with on a log."""
    recipe, changes = ROWS[row]
    return runs.settings_of(recipe, changes + OF_LOG.get((row, name), []) + (more or []))


def key_of(row: str, name: str, seed: int) -> str:
    settings = build(settings_of(row, name)).config.to_dict()
    return runs.key_of(settings, name, seed)


class Published:
    """A model that is asked by the vectors of its users, as published tables do it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.scores_all_items = True

    def score_queries(self, queries: Queries) -> Any:
        return self.model.score_users(queries.users)


def judged(model: Any, log: Benchmark) -> dict[str, float]:
    """Figures by the users' own vectors and, where that differs, by their histories."""
    by_history = evaluate_recommender(model, log.queries, ks=(20,)).metrics
    if not hasattr(model, "score_users"):
        return {metric: by_history[metric] for metric in METRICS}
    own = evaluate_recommender(Published(model), log.queries, ks=(20,)).metrics  # type: ignore[arg-type]
    found = {metric: own[metric] for metric in METRICS}
    return found | {f"{metric}, folded in": by_history[metric] for metric in METRICS}


def run(row: str, name: str, seed: int) -> dict[str, Any]:
    """Fits one seed; returns test figures with what it cost."""
    key, log = key_of(row, name, seed), published(name)
    model = build(settings_of(row, name))
    folder = OUT / "fits" / key
    context = TrainContext(seed=seed, folder=folder, threads=torch.get_num_threads())
    fit = model.fit(log.data, context)
    line = {"key": key, "row": row, "data": name, "seed": seed, "commit": commit()}
    line |= judged(model, log)
    line |= {"epochs": fit.epochs, "cpu_seconds": fit.cpu_seconds, "data_hash": log.data_hash}
    RUNS.keep(line)
    shutil.rmtree(folder, ignore_errors=True)
    return line


def choose(row: str, name: str, changes: list[str]) -> None:
    """Prints how a row learns with settings changed, judged by pairs held back."""
    log = for_choosing(name)
    settings = settings_of(row, name, ["training.monitor=recall@20", *changes])
    model = build(settings)

    def monitor(model: Any) -> dict[str, float]:
        found = judged(model, log)
        print({metric: round(found[metric], 5) for metric in METRICS}, flush=True)
        return found

    fit = model.fit(log.data, TrainContext(monitor=monitor, threads=torch.get_num_threads()))
    figures = {metric: round(value, 5) for metric, value in judged(model, log).items()}
    print(row, name, changes, f"epoch {fit.best_epoch}", figures, f"{fit.cpu_seconds:.0f} s")


def claims(name: str, seeds: list[int]) -> None:
    """Records every row of a log that has been run."""
    ended = RUNS.known()
    for row in ROWS:
        found = [ended[key] for seed in seeds if (key := key_of(row, name, seed)) in ended]
        if not found:
            continue
        common = {"seeds": [line["seed"] for line in found], "data_hash": found[0]["data_hash"],
                  "seconds": sum(line["cpu_seconds"] for line in found),
                  "measured_at": runs.measured_at(found)}  # fmt: skip
        for metric in (m for m in found[0] if m.startswith(METRICS)):
            claim = f"{row} {metric} on {name}"
            bar = f">={BARS.get((row, name, metric), 0)}"
            record("graph", claim, mean(line[metric] for line in found), "", bar, **common)
            if len(found) > 1:
                low, high = runs_interval([line[metric] for line in found])
                record("graph", f"{claim}, half of the 95 % interval over seeds",
                       (high - low) / 2, "", "<=1", **common)  # fmt: skip
        record("graph", f"CPU-minutes of {row} on {name}", common["seconds"] / 60 / len(found),
               "min", "<=1000", **common)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="*", default=["yelp", "gowalla"])
    parser.add_argument("--rows", nargs="*", default=[*ROWS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--choose", nargs="*", help="settings to try on pairs held back")
    parser.add_argument("--computed", action="store_true", help="only records what is there")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no graph folder in the data folder; set ETALAGE_DATA")
    OUT.mkdir(parents=True, exist_ok=True)
    for name in options.data:
        if options.computed:
            claims(name, options.seeds)
            continue
        for row in options.rows:
            if options.choose is not None:
                choose(row, name, options.choose)
                continue
            seeds = options.seeds[:1] if row == "GF-CF" else options.seeds  # nothing is drawn
            for seed in seeds:
                if key_of(row, name, seed) not in RUNS.known():
                    line = run(row, name, seed)
                    figures = {m: round(v, 5) for m, v in line.items() if m.startswith(METRICS)}
                    print(row, name, seed, figures, f"{line['cpu_seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
