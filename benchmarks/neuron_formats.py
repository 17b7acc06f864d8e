"""Claims about the thirty quadratic neurons of QNN-alpha's paper, on MovieLens-1M: none is assumed.

One layer of each format, and the Khatri-Rao layer with one row and with four, in one setting:
vectors of 16 numbers, log-loss, a dropout of 0.1, the state that is best on validation. Seeds that
are done are kept in `runs/neuron_formats` and not run again.

    python benchmarks/neuron_formats.py [--seeds 0 1 2] [--only T19 ...]
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from claims import record
from etalage.artefact import sha256_of
from etalage.data.formats.ctr import movielens_1m
from etalage.evaluate.classification import auc
from etalage.layers.quadratic import FORMATS
from etalage.models.ranking.qnn import QNN, QNNConfig
from etalage.train.context import TrainContext

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "ctr" / "movielens-1m"
RESULTS = HERE / "runs" / "neuron_formats" / "results.jsonl"
LAYERS: dict[str, dict[str, Any]] = {
    **{f"T{n}": {"neuron": f"T{n}"} for n in range(1, len(FORMATS) + 1)},
    "Khatri-Rao, 1 row": {"n_rows": 1},
    "Khatri-Rao, 4 rows": {"n_rows": 4},
}
Run = dict[str, Any]


def fitted(name: str, seed: int, tables: tuple[Any, Any, Any]) -> Run:
    """Test AUC of one fit, and what it cost."""
    train, valid, test = tables
    training = {"epochs": 60, "batch_size": 4096, "learning_rate": 1e-3, "clip_norm": 10.0,
                "monitor": "auc", "patience": 2}  # fmt: skip
    model = QNN(
        QNNConfig(
            width=16, n_layers=1, dropout=0.1, objective="log_loss", table_decay=1e-4,
            vector_decay=0.0, training=training, **LAYERS[name],
        )
    )  # fmt: skip

    def monitor(model: Any) -> dict[str, float]:
        return {"auc": auc(model.score(valid), valid.labels)}

    fit = model.fit(
        train, TrainContext(seed=seed, monitor=monitor, threads=torch.get_num_threads())
    )
    return {"name": name, "seed": seed, "auc": auc(model.score(test), test.labels),
            "n_parameters": fit.n_parameters, "best_epoch": fit.best_epoch,
            "seconds": fit.cpu_seconds}  # fmt: skip


def done() -> dict[tuple[str, int], Run]:
    if not RESULTS.exists():
        return {}
    runs = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {(run["name"], run["seed"]): run for run in runs}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", choices=[*LAYERS], default=[*LAYERS])
    parser.add_argument("--fit", action="store_true", help="record nothing: others are at work too")
    options = parser.parse_args()
    tables = movielens_1m(DATA)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name in options.only:
            if (name, seed) in done():
                continue
            started = time.perf_counter()
            run = fitted(name, seed, tables)
            with RESULTS.open("a") as file:
                file.write(json.dumps(run) + "\n")
            print(f"{name}, seed {seed}: AUC {run['auc']:.4f}, best epoch {run['best_epoch']}, "
                  f"{time.perf_counter() - started:.0f} s", flush=True)  # fmt: skip
    if options.fit:
        return
    data_hash = sha256_of(*sorted(DATA.iterdir()))[:16]
    for name in options.only:
        runs = [done()[name, seed] for seed in options.seeds]
        record("ranking", f"auc of one layer of {name} on movielens-1m",
               mean(run["auc"] for run in runs), "", ">=0.5", seeds=options.seeds,
               data_hash=data_hash, seconds=sum(run["seconds"] for run in runs))  # fmt: skip


if __name__ == "__main__":
    main()
