"""Claims about large graphs: an epoch of 20 million pairs, in a process of its own.

Two million users and half a million items, as unevenly taken as items are; LightGCN of two layers,
64 wide, softmax, batches of half a million pairs. What is drawn says nothing about quality.

    python benchmarks/graph_scale.py [--pairs 20000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from claims import record
from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.ids import Vocabulary
from etalage.layers.propagation import bipartite, mean_of_layers
from etalage.models.graph.lightgcn import LightGCN, LightGCNConfig
from etalage.train.config import TrainingConfig
from etalage.train.context import TrainContext

USERS_A_PAIR, ITEMS_A_PAIR = 1 / 10, 1 / 40
LAYERS, WIDTH = 2, 64


def log_of(n_pairs: int) -> Interactions:
    """Users take ten items each on average; the popularity of items falls as 1 / (rank + 10)."""
    rng = np.random.default_rng(0)
    n_users, n_items = int(n_pairs * USERS_A_PAIR), int(n_pairs * ITEMS_A_PAIR)
    odds = np.cumsum(1 / (np.arange(n_items) + 10))
    items = np.searchsorted(odds, rng.random(n_pairs) * odds[-1]).astype(np.int32)
    users = np.sort(rng.integers(0, n_users, n_pairs).astype(np.int32))
    return Interactions.from_arrays(users, items, n_users=n_users, n_items=n_items)


def child(n_pairs: int) -> None:
    """Fits one epoch and prints what it took."""
    log = log_of(n_pairs)
    data = Dataset("drawn", log, Vocabulary(range(log.n_users)), Vocabulary(range(log.n_items)))
    training = TrainingConfig(epochs=1, batch_size=500_000, learning_rate=0.01, monitor=None)
    model = LightGCN(LightGCNConfig(width=WIDTH, n_layers=LAYERS, training=training))
    planned = model._plan(data).gigabytes
    began = time.process_time()
    model.fit(data, TrainContext(threads=torch.get_num_threads()))
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    seen = log.matrix()
    adjacency, x = bipartite(seen), torch.randn(sum(seen.shape), WIDTH, requires_grad=True)
    began = time.process_time()
    mean_of_layers(adjacency, x, LAYERS).backward(torch.ones_like(x))
    step = time.process_time() - began
    found = {"seconds": seconds, "peak": peak, "planned": planned, "step": step, "links": seen.nnz}
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=20_000_000)
    parser.add_argument("--child", action="store_true", help="does the work of one process")
    options = parser.parse_args()
    if options.child:
        child(options.pairs)
        return
    command = [sys.executable, Path(__file__), "--pairs", options.pairs, "--child"]
    said = subprocess.check_output([*map(str, command)], text=True)
    found = json.loads(said.splitlines()[-1])
    what, common = f"{options.pairs:,} pairs", {"seconds": found["seconds"]}
    record("graph", f"memory of a fit of {what}", found["peak"], "GB", "<=12", **common)
    record("graph", f"memory of it over what was planned, {what}", found["peak"] / found["planned"],
           "", "<=1.3", **common)  # fmt: skip
    record("graph", f"an epoch of {what}, the fit around it included", found["seconds"], "CPU-s",
           "<=1800", **common)  # fmt: skip
    products = 4 * LAYERS * found["links"]  # forth and back, both ways of a link
    record("graph", f"a link in one product, {WIDTH} wide, {what}",
           found["step"] / products * 1e9, "CPU-ns", "<=200", **common)  # fmt: skip


if __name__ == "__main__":
    main()
