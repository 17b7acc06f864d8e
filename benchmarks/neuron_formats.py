"""Claims about the thirty quadratic neurons of QNN-alpha's paper, on MovieLens-1M: none is assumed.

One layer of each format, and the Khatri-Rao layer with one row and with four, in one setting:
vectors of 16 numbers, log-loss, a dropout of 0.1, the state that is best on validation. Seeds that
are done are kept in `runs/neuron_formats` and not run again.

    python benchmarks/neuron_formats.py [--seeds 0 1 2] [--only T19 ...]
"""

import argparse
import os
from pathlib import Path
from statistics import mean
from typing import Any

from claims import record
from etalage.layers.quadratic import FORMATS
from etalage.pipeline.ctr import ClickJob, Results, forget, hash_of
from etalage.pipeline.reproduce.ctr import loader

HERE = Path(__file__).parents[1]
os.environ.setdefault("ETALAGE_DATA", str(HERE / "../shared/data"))
FOLDER = HERE / "runs" / "neuron_formats"
LAYERS: dict[str, dict[str, Any]] = {
    **{f"T{n}": {"neuron": f"T{n}"} for n in range(1, len(FORMATS) + 1)},
    "Khatri-Rao, 1 row": {"n_rows": 1},
    "Khatri-Rao, 4 rows": {"n_rows": 4},
}
RANKER: dict[str, Any] = {
    "kind": "qnn", "width": 16, "n_layers": 1, "dropout": 0.1, "objective": "log_loss",
    "table_decay": 1e-4, "vector_decay": 0.0,
    "training": {"epochs": 60, "batch_size": 4096, "learning_rate": 1e-3, "clip_norm": 10.0,
                 "monitor": "auc", "patience": 2},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", choices=[*LAYERS], default=[*LAYERS])
    options = parser.parse_args()
    tables, results = loader("movielens-1m")({}), Results(FOLDER / "results.jsonl")
    data_hash = hash_of(tables)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    for seed in options.seeds:
        for name, runs in found.items():
            job, place = ClickJob.of(RANKER | LAYERS[name], seed, data_hash), FOLDER / name
            result = results.of(job)
            if result is None:
                result = job.run(tables, place / str(seed))
                results.append({"name": name} | result)
                forget(place)
            runs.append(result)
            print(
                f"{name}, seed {seed}: AUC {result['auc']:.4f}, best epoch "
                f"{result['best_epoch']}, {result['cpu_seconds']:.0f} CPU-s",
                flush=True,
            )
    for name, runs in found.items():
        record("ranking", f"auc of one layer of {name} on movielens-1m",
               mean(run["auc"] for run in runs), "", ">=0.5", seeds=options.seeds,
               data_hash=data_hash, seconds=sum(run["cpu_seconds"] for run in runs))  # fmt: skip


if __name__ == "__main__":
    main()
