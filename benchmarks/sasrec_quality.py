"""Claims about SASRec: one recipe, three seeds on Beauty, and Sports and Toys beside it.

Leave-one-out, full ranking, seen items hidden. The state kept is the best on validation. A seed
that was interrupted goes on where it stopped (`runs/sasrec_quality`).

    python benchmarks/sasrec_quality.py [beauty sports toys] [--seeds 1 2 3] [--set width=128 ...]
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from claims import record
from etalage.artefact import sha256_of
from etalage.data.ingest import open_dataset
from etalage.data.split import leave_one_out
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.registry import build
from etalage.recipe.recipe import override
from etalage.train.context import TrainContext

HERE = Path(__file__).parents[1]
METRICS = ("hit_rate@5", "ndcg@5", "hit_rate@10", "ndcg@10")
PUBLISHED = {
    "beauty": (0.0387, 0.0249, 0.0605, 0.0318),
    "sports": (0.0233, 0.0154, 0.0350, 0.0192),
    "toys": (0.0463, 0.0306, 0.0675, 0.0374),
}
"""SASRec in the table of S3-Rec: what any faithful training must reach."""
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "sequences" / "s3rec"


def run(name: str, settings: dict, seed: int, folder: Path) -> dict[str, float]:
    """Fits one seed and returns its test metrics with the cost."""
    data = open_dataset(DATA / name)
    split = leave_one_out(data.interactions)
    model = build({"kind": "sasrec"} | settings)

    def monitor(model: Any) -> dict[str, float]:
        return evaluate_recommender(model, split.valid, ks=(10,)).metrics

    context = TrainContext(seed=seed, folder=folder / f"{name}-{seed}", monitor=monitor)
    fit = model.fit(data.with_interactions(split.train), context)
    metrics = evaluate_recommender(model, split.test, ks=(5, 10)).metrics
    return metrics | {"epochs": fit.epochs, "best_epoch": fit.best_epoch,
                      "valid_ndcg@10": fit.metrics["ndcg@10"],
                      "cpu_seconds": fit.cpu_seconds}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=["beauty", "sports", "toys"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--set", nargs="*", default=[], help="tries a setting; records no claim")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no sequences/s3rec in the data folder; set ETALAGE_DATA")
    recipe = yaml.safe_load((HERE / "recipes" / "sasrec.yaml").read_text())
    settings = recipe["models"]["sasrec"]
    for change in options.set:
        override(settings, change)
    tag = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    folder = HERE / "runs" / "sasrec_quality" / tag
    for name in options.names:
        seeds = options.seeds if name == "beauty" else options.seeds[:1]
        results = []
        for seed in seeds:
            results.append(run(name, settings, seed, folder))
            print(name, seed, {k: round(v, 4) for k, v in results[-1].items()}, flush=True)
        if options.set:
            continue
        sha256 = sha256_of(DATA / name / "sequences.txt")[:16]
        bars = dict(zip(METRICS, PUBLISHED[name], strict=True))
        if name == "beauty":  # what full cross-entropy is known to reach
            bars |= {"hit_rate@10": 0.0740, "ndcg@10": 0.0423}
        for metric in METRICS:
            record("house", f"SASRec {metric} on S3-Rec {name}",
                   float(np.mean([r[metric] for r in results])), "",
                   f">={bars[metric]}", seeds=seeds, data_hash=sha256,
                   seconds=sum(r["cpu_seconds"] for r in results))  # fmt: skip


if __name__ == "__main__":
    main()
