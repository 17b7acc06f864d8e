"""Claims about speed beside RecTools' SASRec, one after the other in one run, on one thread.

Same sequences (S3-Rec Beauty), width 64, length 50, batch 128, two blocks of two heads, softmax
over the whole catalogue. The peer lives in an environment of its own; see
`peers/rectools_sasrec.py` for how to make it.

    python benchmarks/peer_speed.py [--peer PEER/bin/python] [--ranking]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from claims import record
from etalage.artefact import sha256_of
from etalage.data.ingest import open_dataset
from etalage.data.split import leave_one_out
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.registry import build
from etalage.train.context import TrainContext

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "sequences/s3rec/beauty"
PEER = HERE / "benchmarks/peers/.venv-rectools/bin/python"
EPOCHS, BATCH = 2, 128


def ours(precision: str) -> dict[str, float]:
    """CPU seconds of an epoch, and of judging everyone (ranking and metrics)."""
    data = open_dataset(DATA)
    split = leave_one_out(data.interactions)
    training = {"epochs": EPOCHS, "batch_size": BATCH, "precision": precision}
    model = build({"kind": "sasrec", "width": 64, "max_length": 50, "training": training})
    fit = model.fit(data.with_interactions(split.train), TrainContext(threads=1))
    torch.set_num_threads(1)
    costs = []
    for _ in range(2):
        began = time.process_time()
        report = evaluate_recommender(model, split.test, ks=(10,))
        costs.append(time.process_time() - began)
    steps = -(-data.n_users // BATCH)
    epochs = [steps / row["steps_per_cpu_second"] for row in fit.history]
    return {
        "users": report.n_queries,
        "epoch_cpu_seconds": min(epochs),
        "rank_cpu_seconds": min(costs),
    }


def measured(command: list[object]) -> dict[str, float]:
    """Runs one side in a process of its own, on one thread, and reads its last line."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(Path(str(command[1])).stem, found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default=PEER, help="python of the peer's environment")
    parser.add_argument("--ranking", action="store_true", help="only ranking, in two minutes")
    parser.add_argument("--ours", help="measure our side in this precision, and print it")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no sequences/s3rec in the data folder; set ETALAGE_DATA")
    if options.ours:
        print(json.dumps(ours(options.ours)))
        return
    if not Path(options.peer).exists():
        sys.exit(f"no {options.peer}; peers/rectools_sasrec.py says how to make it")
    started = time.perf_counter()
    script = Path(__file__).parent / "peers" / "rectools_sasrec.py"
    few = ["1"] if options.ranking else []
    theirs = measured([options.peer, script, DATA / "sequences.txt", *few])
    facts = {"peer": "RecTools 0.19.0", "data_hash": sha256_of(DATA / "sequences.txt")[:16]}
    for precision in ("auto",) if options.ranking else ("float32", "auto"):
        mine = measured([sys.executable, __file__, "--ours", precision])
        ratio = theirs["epoch_cpu_seconds"] / mine["epoch_cpu_seconds"]
        if not options.ranking:
            record("house", f"SASRec training throughput against RecTools ({precision})", ratio,
                   "times", ">=3", seconds=time.perf_counter() - started, **facts)  # fmt: skip
    ratio = theirs["rank_cpu_seconds"] / mine["rank_cpu_seconds"]
    record("house", "full-catalogue evaluation against RecTools' ranking", ratio, "times", ">=5",
           seconds=time.perf_counter() - started, **facts)  # fmt: skip


if __name__ == "__main__":
    main()
