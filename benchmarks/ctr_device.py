"""Claims about training QNN-alpha on an accelerator that holds the data.

Ids in the shape of the Criteo log (39 fields, 910,747 codes, Zipf 1.05; synthetic, so only speed
can be read off them), all 36,672,493 training rows on the device, the published settings: 4 layers,
5 rows, width 16, batches of 10,000. The epoch after the first is timed, which compiled. The peer is
the epoch of the authors' log, evaluation included, on a GPU that it does not name.

    python benchmarks/ctr_device.py [--rows 36672493]
"""

import argparse
import time

import numpy as np
import torch

from claims import record
from ctr_cases import values
from etalage.data.features import FeatureTable
from etalage.models.registry import build
from etalage.train.context import TrainContext

N_ROWS, N_CODES, N_FIELDS, WIDTH, BATCH, LAYERS, GATES = 36_672_493, 910_747, 39, 16, 10_000, 4, 5
AUTHORS = 446.0
"""Seconds of an epoch on Criteo_x4 in the authors' log."""


def table(n_rows: int) -> FeatureTable:
    """Fields as those of `ctr_cases.synthetic`, drawn on the device."""
    known = values(N_CODES)
    torch.manual_seed(0)
    codes = np.empty((n_rows, N_FIELDS), np.int32)
    power = 1 - 1.05
    for field, size in enumerate(known):  # the inverse of the distribution, as if it were smooth
        u = torch.rand(n_rows, device="cuda")
        value = ((size + 1.0) ** power * u + (1 - u)) ** (1 / power)
        codes[:, field] = value.to(torch.int32).clamp_(1, int(size)).cpu().numpy()
    clicks = (torch.rand(n_rows, device="cuda") < 0.25).to(torch.int8).cpu().numpy()
    sizes = {f"field_{n + 1}": int(size) + 1 for n, size in enumerate(known)}
    return FeatureTable(sizes, codes, (), np.zeros((n_rows, 0), np.float32), clicks)


def peak() -> float:
    """Products a second of large matrices in bfloat16."""
    one, two = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        one @ two
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(20):
        one @ two
    torch.cuda.synchronize()
    return 20 * 2 * 8192**3 / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=N_ROWS)
    n_rows = parser.parse_args().rows
    began = time.perf_counter()
    device, fastest, rows = torch.cuda.get_device_name(), peak(), table(n_rows)
    print(f"{device}: {fastest / 1e12:.0f} TFLOP/s; rows made after "
          f"{time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip
    settings = {
        "kind": "qnn", "width": WIDTH, "n_layers": LAYERS, "n_rows": GATES, "batch_norm": False,
        "dropout": 0.1, "table_decay": 1e-5, "vector_decay": 0.0,
        "training": {"epochs": 2, "batch_size": BATCH, "learning_rate": 1e-3, "clip_norm": 10.0,
                     "monitor": None, "compiled": True},
    }  # fmt: skip
    report = build(settings).fit(rows, TrainContext(device="cuda"))
    seconds = report.history[-1]["seconds"]
    d = N_FIELDS * WIDTH
    flops = n_rows * 6 * (2 * LAYERS - 1) * GATES * d**2  # forth and back; two share a layer
    memory = torch.cuda.max_memory_allocated() / 2**30
    print(f"epoch {seconds:.1f} s, {memory:.1f} GiB, losses {[r['loss'] for r in report.history]}")
    what = f"QNN-alpha, Criteo-shaped, on an {device}"
    facts = {"peer": "the authors' epoch of 446 s", "seconds": time.perf_counter() - began}
    record("ranking", f"{what}: share of the matrix product's peak", flops / seconds / fastest, "",
           ">=0.15", **facts)  # fmt: skip
    record("ranking", f"{what}: rows", n_rows / seconds, "rows/s", ">=1500000", **facts)
    record("ranking", f"{what}: epochs in the time of one of the authors'",
           AUTHORS * n_rows / N_ROWS / seconds, "times", ">=15", **facts)  # fmt: skip


if __name__ == "__main__":
    main()
