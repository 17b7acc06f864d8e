"""Claims about faster ways of training: the same AUC on Frappe, and the speed of a step.

Tables moved by touch and not whole, and products in bfloat16 and not in float32, are each held
against plain training with the same seeds. The ranker is DCN-V2 in the setting of the click
benchmarks, trained until validation gains no more; see `etalage reproduce ctr`. The step is that of
the tables alone: reading 10,000 rows of 39 fields, its way back, and Adam.

    python benchmarks/training_ways.py [touched] [bfloat16] [speed] [--seeds 1 2]
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from claims import record
from etalage.artefact import sha256_of
from etalage.data.formats.ctr import ClickTables, frappe
from etalage.evaluate.classification import auc
from etalage.layers.lookup import looked_up
from etalage.models.ranking.dcn import DCNV2, DCNV2Config
from etalage.train.context import TrainContext
from etalage.train.touched import TouchedAdam

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "ctr" / "frappe_x1r"
WIDTH, ROWS, FIELDS, STEPS = 16, 10_000, 39, 40


WAYS: dict[str, tuple[str, float, dict[str, str], dict[str, str]]] = {
    "touched": ("tables moved by touch and whole", 3e-4, {"table_updates": "touched"}, {}),
    "bfloat16": ("products in bfloat16 and float32", 2e-4, {}, {"precision": "bfloat16"}),
}
"""Way -> what is compared, how far AUC may move, and settings of the ranker and of its training."""


def fitted(seed: int, settings: dict[str, str], training: dict[str, str]) -> dict[str, float]:
    """Test AUC of one fit, and what it cost."""
    train, valid, test = frappe(DATA)
    loop = {"epochs": 100, "batch_size": 4096, "learning_rate": 1e-3, "clip_norm": 10.0,
            "monitor": "auc", "patience": 2, "cuts": 2, "precision": "float32"}  # fmt: skip
    model = DCNV2(
        DCNV2Config(
            width=10, n_crosses=4, hidden=(400, 400, 400), dropout=0.4, batch_norm=True,
            table_decay=0.05, vector_decay=0.0, training=loop | training, **settings,
        )
    )  # fmt: skip

    def monitor(model: Any) -> dict[str, float]:
        return {"auc": auc(model.score(valid), valid.labels)}

    fit = model.fit(train, TrainContext(seed=seed, monitor=monitor))
    found = auc(model.score(test), test.labels)
    print(settings | training, seed, f"auc {found:.5f}, valid {fit.metrics['auc']:.5f} at epoch "
          f"{fit.best_epoch} of {fit.epochs}, {fit.cpu_seconds:.0f} CPU-s", flush=True)  # fmt: skip
    return {"auc": found, "seconds": fit.cpu_seconds}


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


def quality(ways: list[str], seeds: list[int]) -> None:
    plain = [fitted(seed, {}, {}) for seed in seeds]
    for way in ways:
        said, most, settings, training = WAYS[way]
        found = [fitted(seed, settings, training) for seed in seeds]
        moved = np.mean([run["auc"] for run in found]) - np.mean([run["auc"] for run in plain])
        record(
            "ranking", f"difference of test AUC on Frappe, {said}", abs(float(moved)), "AUC",
            f"<={most:g}", seeds=seeds,
            data_hash=sha256_of(*(DATA / f"{part}.csv.gz" for part in ClickTables._fields))[:16],
            seconds=sum(run["seconds"] for run in found),
        )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=[*WAYS, "speed"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    options = parser.parse_args()
    if "speed" in options.parts:
        speed()
    if ways := [part for part in options.parts if part in WAYS]:
        quality(ways, options.seeds)
