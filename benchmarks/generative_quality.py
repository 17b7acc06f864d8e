"""Claims about generators of ids: TIGER and PRORec on Beauty, Sports and Toys, and what each part
of PRORec is worth.

Leave-one-out, full ranking, seen items hidden; the state kept is the best on validation data. Every
run is kept as a line of `runs/generative/results.jsonl`, and one that was interrupted goes on where
it stopped, so the same command ends what it began. A row is the mean of the runs that are there.

    python benchmarks/generative_quality.py [--data beauty] [--rows TIGER ...] [--seeds 1 2 3]
    python benchmarks/generative_quality.py --computed      # records what is there
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import runs
from claims import commit, newest, record
from etalage.artefact import sha256_of
from etalage.data.dataset import Dataset
from etalage.data.ingest import open_dataset
from etalage.data.split import leave_one_out
from etalage.evaluate.ranking import evaluate_recommender
from etalage.evaluate.significance import runs_interval
from etalage.models.content import item_vectors
from etalage.models.generative.alignment import aligned
from etalage.models.recommender import fit_first
from etalage.models.registry import build
from etalage.train.context import FitReport, TrainContext

HERE = Path(__file__).parents[1]
OUT = HERE / "runs" / "generative"
RUNS = runs.Runs(OUT)
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "sequences" / "s3rec"
METRICS = ("hit_rate@5", "ndcg@5", "hit_rate@10", "ndcg@10", "hit_rate@20", "ndcg@20")
ROWS: dict[str, tuple[str, list[str]]] = {
    "TIGER, residual network": ("tiger", []),
    "PRORec": ("prorec", []),
    "PRORec, states distilled, reranked": ("prorec", ["distilled=state", "rerank=1", "n_beams=100",
                                                     "training.validate_every=15"]),
    "PRORec's first stage alone": ("prorec", []),
    "TIGER, reranked by SASRec": ("prorec", ["alignment=0", "codes_of=semantic", "distillation=0",
                                            "rerank=1", "n_beams=100",
                                            "training.validate_every=15"]),
    "PRORec, no alignment": ("prorec", ["alignment=0"]),
    "PRORec, no distillation": ("prorec", ["distillation=0"]),
    "PRORec, distilled by block": ("prorec", ["distillation_heads=per_block"]),
    "PRORec, blocks as they are": ("prorec", ["codes_of=concatenated"]),
    "PRORec, side by side, unaligned": ("prorec", ["alignment=0", "codes_of=concatenated"]),
    "PRORec, collaborative codes": ("prorec", ["codes_of=collaborative"]),
    "PRORec, aligned texts alone": ("prorec", ["codes_of=semantic"]),
}  # fmt: skip
"""A row is a recipe's model with some settings changed."""
SHARED = {
    "tiger": ["tokens.text_encoder=minilm", "tokens.vector_width=384", "training.validate_every=5",
              "training.precision=bfloat16"],
    "prorec": ["tokens.text_encoder=minilm", "tokens.vector_width=384", "training.validate_every=5",
               "training.precision=bfloat16", "collaborative.training.validate_every=5",
               "collaborative.training.precision=bfloat16"],
}  # fmt: skip
"""What all rows of a recipe have changed: titles read by MiniLM, and what saves time."""
BASE = "TIGER, residual network"
ALONE = "PRORec's first stage alone"
"""What the recommender of stage I does without a generator; it costs a fit of that stage."""
TIGER_PAPER = {"beauty": (0.0648, 0.0384), "sports": (0.0400, 0.0225), "toys": (0.0712, 0.0432)}
"""R@10 and N@10 of TIGER's own table."""


def settings_of(row: str) -> dict[str, Any]:
    """What the row's model is built with."""
    recipe, changes = ROWS[row]
    return runs.settings_of(recipe, SHARED[recipe] + changes)


def key_of(row: str, data: str, seed: int) -> str:
    settings = build(settings_of(row)).config.to_dict()
    return runs.key_of(settings, row == ALONE, data, seed)


def run(row: str, name: str, seed: int) -> dict[str, Any]:
    """Fits one seed; returns test metrics with what it cost."""
    key = key_of(row, name, seed)
    data = open_dataset(DATA / name)
    split = leave_one_out(data.interactions)
    model = build(settings_of(row))

    def monitor(model: Any) -> dict[str, float]:
        return evaluate_recommender(model, split.valid, ks=(10,)).metrics

    folder = OUT / "fits" / key
    stage_one = OUT / "stage_one" / f"{stage_key(row)}-{name}-{seed}"
    if stage_one.exists() and not folder.exists():  # one stage I serves all rows that share it
        shutil.copytree(stage_one, folder / "stage_one")
    threads = torch.get_num_threads()
    context = TrainContext(seed=seed, folder=folder, monitor=monitor, threads=threads)
    if row == ALONE:
        model, fit = first_stage(model, data.with_interactions(split.train), context)
    else:
        fit = model.fit(data.with_interactions(split.train), context)
    if (folder / "stage_one").exists() and not stage_one.exists():
        draft = stage_one.with_name(f"{stage_one.name}-{key}")  # whole, or not there
        shutil.copytree(folder / "stage_one", draft)
        draft.rename(stage_one)
    found = evaluate_recommender(model, split.test, ks=(5, 10, 20)).metrics
    line = {"key": key, "row": row, "data": name, "seed": seed, "commit": commit()}
    line |= {name: found[name] for name in METRICS}
    line |= {"valid_ndcg@10": fit.metrics["ndcg@10"], "best_epoch": fit.best_epoch}
    line |= {"cpu_seconds": fit.cpu_seconds, "n_parameters": fit.n_parameters}
    line |= {"health": model.health.to_dict()} if hasattr(model, "health") else {}
    line |= {"domination": getattr(model, "domination", {})}
    RUNS.keep(line)
    shutil.rmtree(folder)
    return line


def first_stage(model: Any, data: Dataset, context: TrainContext) -> tuple[Any, FitReport]:
    """Stage I of a model as a recommender."""
    config = model.config
    texts = item_vectors(data, config.tokens, context.seed)
    pull = (texts, config.alignment, config.alignment_temperature)
    stage = aligned(config.collaborative, *pull)
    return stage, fit_first(stage, data, context, "stage_one")


def stage_key(row: str) -> str:
    """What stage I follows from."""
    settings = build(settings_of(row)).config.to_dict()
    names = ("collaborative", "alignment", "alignment_temperature", "tokens")
    text = json.dumps({name: settings.get(name) for name in names}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def claims(name: str, seeds: list[int]) -> None:
    """Records the baselines, and every row of a data set that has been run."""
    ended = RUNS.known()
    rows = {}
    for row in ROWS:
        found = [ended[key] for seed in seeds if (key := key_of(row, name, seed)) in ended]
        if found:
            rows[row] = found
        if row == "PRORec" and len(found) > 1:  # what stands beside ablations of one seed
            rows["PRORec, first seed"] = found[:1]
    data_hash = sha256_of(DATA / name / "sequences.txt")[:16]
    beaten = baselines(name, data_hash)
    means = {row: {m: mean(r[m] for r in found) for m in METRICS} for row, found in rows.items()}
    for row, found in rows.items():
        bars = dict.fromkeys(METRICS, ">=0")
        if row == BASE:
            bars |= {m: f">={bar}" for m, bar in zip(METRICS[2:4], TIGER_PAPER[name], strict=True)}
        common = {"seeds": [line["seed"] for line in found], "data_hash": data_hash,
                  "seconds": sum(line["cpu_seconds"] for line in found),
                  "measured_at": runs.measured_at(found)}  # fmt: skip
        for metric in METRICS:
            claim = f"{row} {metric} on S3-Rec {name}"
            record("generative", claim, means[row][metric], "", bars[metric], **common)
            if len(found) > 1:
                low, high = runs_interval([line[metric] for line in found])
                record("generative", f"{claim}, half of the 95 % interval over seeds",
                       (high - low) / 2, "", "<=1", **common)  # fmt: skip
        record("generative", f"CPU-minutes of {row} on S3-Rec {name}",
               common["seconds"] / 60 / len(found), "min", "<=1000", **common)  # fmt: skip
        for figure, value in (ids_of(found) if row != ALONE else {}).items():
            record("generative", f"{figure} of {row} on S3-Rec {name}", value, "", ">=0", **common)
        if row not in ("PRORec", "PRORec, states distilled, reranked"):
            continue
        gains = [(BASE, "hit_rate@20", 0.1468), (BASE, "ndcg@20", 0.0785)]
        gains += [(base, m, 0) for base in beaten for m in ("hit_rate@10", "ndcg@10")]
        for base, metric, gain in gains:
            other = beaten.get(base, {}).get(metric)
            if base == BASE:  # seed by seed
                others = [line[metric] for line in rows.get(BASE, [])
                          if line["seed"] in common["seeds"]]  # fmt: skip
                other = mean(others) if len(others) == len(found) else None
            if other is not None:
                record("generative", f"{row} over {base}, {metric} on S3-Rec {name}",
                       means[row][metric] / other - 1, "", f">={gain}", **common)  # fmt: skip


def ids_of(found: list[dict[str, Any]]) -> dict[str, float]:
    """What the ids of a row are like, means over its runs."""
    health = [line["health"] for line in found]
    kept = [h["neighbour_preservation"] for h in health]
    figures = {
        "variance that ids explain": mean(h["explained"][-1] for h in health),
        "perplexity of the last code": mean(h["perplexity"][-1] for h in health),
        "neighbours that share half of the codes": mean(kept),
        "items that follow each other and share the first code, over chance": mean(
            h["consecutive_agreement"] / h["chance_consecutive"] for h in health
        ),
    }
    for block in found[0]["domination"]:
        overlaps = [line["domination"][block]["overlap"] for line in found]
        figures[f"neighbours by the {block} half that share two codes"] = mean(overlaps)
    return figures


def baselines(name: str, data_hash: str) -> dict[str, dict[str, float]]:
    """Popularity and item-kNN + Markov, fitted now, and SASRec as recorded."""
    data = open_dataset(DATA / name)
    split = leave_one_out(data.interactions)
    found = {}
    for label, kind in (("popularity", "popularity"), ("item-kNN + Markov", "item_knn_markov")):
        model = build({"kind": kind})
        model.fit(data.with_interactions(split.train))
        found[label] = evaluate_recommender(model, split.test, ks=(5, 10, 20)).metrics
        for metric in METRICS:
            record("generative", f"{label} {metric} on S3-Rec {name}", found[label][metric], "",
                   ">=0", data_hash=data_hash)  # fmt: skip
    house = newest("house")
    found["SASRec"] = {
        metric: house[claim]["value"]
        for metric in METRICS
        if (claim := f"SASRec {metric} on S3-Rec {name}") in house
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="*", default=["beauty", "sports", "toys"])
    parser.add_argument("--rows", nargs="*", default=[*ROWS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--computed", action="store_true", help="only records what is there")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no sequences/s3rec in the data folder; set ETALAGE_DATA")
    OUT.mkdir(parents=True, exist_ok=True)
    for name in options.data:
        for row in [] if options.computed else options.rows:
            for seed in options.seeds:
                if key_of(row, name, seed) not in RUNS.known():
                    line = run(row, name, seed)
                    figures = {m: round(line[m], 4) for m in METRICS}
                    print(row, name, seed, figures, f"{line['cpu_seconds']:.0f} s", flush=True)
        if options.computed:
            claims(name, options.seeds)


if __name__ == "__main__":
    main()
