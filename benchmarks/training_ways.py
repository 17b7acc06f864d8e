"""Claims about faster ways of training: the same AUC, and the speed of a step.

Tables moved by touch and not whole, and products in bfloat16 and not in float32, are each held
against plain training with the same seeds, until validation gains no more. Rankers and logs are
rows of `etalage reproduce ctr`. Runs of one way differ from seed to seed by more than the bars, so
means of many are compared, and the standard error of their difference is printed beside it. Seeds
that are done are kept in `runs/training_ways` and not run again. The step is that of the tables
alone: reading 10,000 rows of 39 fields, its way back, and Adam.

    python benchmarks/training_ways.py [touched] [bfloat16] [speed] [--log movielens-1m] [--seeds 8]
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from claims import record
from etalage.layers.lookup import looked_up
from etalage.pipeline.ctr import ClickJob, Results, forget, hash_of
from etalage.pipeline.reproduce.ctr import loader
from etalage.pipeline.reproduce.published import click_table
from etalage.train.touched import TouchedAdam

HERE = Path(__file__).parents[1]
os.environ.setdefault("ETALAGE_DATA", str(HERE / "../shared/data"))
LOGS = {"frappe": ("Frappe", "DCN-V2"), "movielens-1m": ("ML-1M", "QNN-alpha")}
"""Log -> its name in a claim, and the row of its table that is trained."""
WAYS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "touched": ("tables moved by touch and whole", 3e-4, {"table_updates": "touched"}),
    "bfloat16": (
        "products in bfloat16 and float32", 2e-4, {"training": {"precision": "bfloat16"}}
    ),
}  # fmt: skip
"""Way -> what is compared, how far AUC may move, and the settings that differ."""
WIDTH, ROWS, FIELDS, STEPS = 16, 10_000, 39, 40


def fitted(log: str, way: dict[str, Any], seeds: range) -> tuple[list[float], str, float]:
    """Test AUC of each seed, the hash of the data, and CPU seconds."""
    (row,) = (row for row in click_table(log).rows if row.name == LOGS[log][1])
    training = row.ranker["training"] | {"precision": "float32"} | way.get("training", {})
    ranker = row.ranker | way | {"training": training}
    tables, folder = loader(log)(row.data), HERE / "runs" / "training_ways" / log
    results, data_hash, found = Results(folder / "results.jsonl"), hash_of(tables), []
    for seed in seeds:
        job = ClickJob.of(ranker, seed, data_hash)
        result = results.of(job)
        if result is None:
            name = f"{job.key['settings_hash'][:8]}-{seed}"
            result = job.run(tables, folder / name)
            results.append(result)
            forget(folder / name)
        print(f"{log}, {way or 'plain'}, seed {seed}: AUC {result['auc']:.5f}, {result['epochs']} "
              f"epochs, {result['cpu_seconds']:.0f} CPU-s", flush=True)  # fmt: skip
        found.append(result)
    return [run["auc"] for run in found], data_hash, sum(run["cpu_seconds"] for run in found)


def ids_of(n_codes: int, n_batches: int) -> list[torch.Tensor]:
    """Batches of ids whose popularity falls with rank ** -1.05, popular ones anywhere."""
    rng = np.random.default_rng(0)
    places, power = rng.permutation(n_codes), 1 - 1.05
    draws = rng.random((n_batches, ROWS, FIELDS))
    ranks = ((n_codes**power - 1) * draws + 1) ** (1 / power)
    ids = places[np.minimum(ranks.astype(np.int64), n_codes - 1)].astype(np.int32)
    return [*torch.from_numpy(ids)]


def seconds_of_a_step(n_codes: int, updates: str) -> tuple[float, float]:
    """CPU seconds of one step of a table of vectors, in the median, and rows that it reads."""
    torch.manual_seed(0)
    table = torch.nn.Parameter(torch.randn(n_codes, WIDTH) * 0.01)
    ways = torch.randn(ROWS, FIELDS, WIDTH) / ROWS
    touched = TouchedAdam([table], 1e-5)
    dense = torch.optim.AdamW([table], lr=1e-3, weight_decay=0.0, fused=True)
    took, rows = [], []
    for ids in ids_of(n_codes, STEPS):
        started = time.process_time()
        if updates == "touched":
            (block,), (places,) = touched.read(ids)
            (looked_up([block], places)[0] * ways).sum().backward()
            block.grad.add_(block.detach(), alpha=1e-5)
            rows.append(len(block))
            touched.step(1e-3)
        else:
            dense.zero_grad()
            (looked_up([table], ids)[0] * ways).sum().backward()
            table.grad.add_(table.detach(), alpha=1e-5)
            dense.step()
        took.append(time.process_time() - started)
    return float(np.median(took[3:])), float(np.median(rows)) if rows else float(n_codes)


def speed() -> None:
    for n_codes in (5_383, 910_784, 5_000_000):
        found = {way: seconds_of_a_step(n_codes, way) for way in ("all", "touched")}
        for way, (seconds, rows) in found.items():
            # weights and two moments, read and written
            floor = rows * WIDTH * 4 * 6 / 1e6
            print(f"{n_codes:,} codes, {way}: {seconds * 1e3:.1f} ms, {rows:,.0f} rows, Adam moves "
                  f"{floor:.1f} MB at least", flush=True)  # fmt: skip
        ratio = found["all"][0] / found["touched"][0]
        if n_codes > 1e6:
            record("ranking", "a step of tables of 5 million vectors, moved by touch and not whole",
                   ratio, "x", ">=2", seeds=[0], seconds=found["touched"][0] * STEPS)  # fmt: skip


def quality(log: str, ways: list[str], seeds: range) -> None:
    plain, data_hash, _ = fitted(log, {}, seeds)
    for way in ways:
        said, most, settings = WAYS[way]
        found, _, seconds = fitted(log, settings, seeds)
        moved = float(np.mean(found) - np.mean(plain))
        error = float(np.sqrt((np.var(found, ddof=1) + np.var(plain, ddof=1)) / len(seeds)))
        print(f"{log}, {way}: AUC moved by {moved:+.5f}, standard error {error:.5f}")
        record("ranking", f"difference of test AUC on {LOGS[log][0]}, {said}", abs(moved), "AUC",
               f"<={most:g}", seeds=[*seeds], data_hash=data_hash, seconds=seconds)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=[*WAYS, "speed"])
    parser.add_argument("--log", nargs="*", choices=[*LOGS], default=[*LOGS])
    parser.add_argument("--seeds", type=int, default=8, help="runs of each way")
    options = parser.parse_args()
    if "speed" in options.parts:
        speed()
    for log in options.log:
        if ways := [part for part in options.parts if part in WAYS]:
            quality(log, ways, range(options.seeds))
