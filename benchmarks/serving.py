"""Claims about serving: what a request costs, and what the process holds.

A bundle of 50,000 items (SASRec of width 64, DCN-V2 on 100 candidates, Platt) is served by
`etalage serve` in a process of its own; 2,000 requests with a history of 30 go through one
connection. CPU time and memory are the server's own, from the system.

    python benchmarks/serving.py
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

from claims import record
from etalage.calibrate import Platt
from etalage.data.dataset import Dataset
from etalage.data.describe import describe
from etalage.data.interactions import Interactions
from etalage.data.split import leave_one_out
from etalage.ids import Vocabulary
from etalage.models.registry import build
from etalage.pipeline.clicks import click_log, ranking_features
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.shop import Shop
from etalage.recipe.recipe import resolve
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.retrieval import Products

N_ITEMS, N_REQUESTS, N_HISTORY, K = 50_000, 2000, 30, 20


def big_shop() -> Shop:
    """A log in which every item occurs; what is learnt from it does not matter here."""
    import polars as pl

    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(500), 100)
    log = Interactions.from_arrays(users, rng.permutation(N_ITEMS), n_users=500, n_items=N_ITEMS)
    table = pl.DataFrame(
        {
            "title": [f"thing {i} of kind {i % 300}" for i in range(N_ITEMS)],
            "category": [f"category {i % 200}" for i in range(N_ITEMS)],
        }
    )
    items = Vocabulary([f"item-{i:05d}" for i in range(N_ITEMS)])
    data = Dataset("large shop", log, Vocabulary(range(500)), items, item_table=table)
    return Shop(data, leave_one_out(log), describe(data), None)


def export(folder: Path) -> None:
    shop, recipe = big_shop(), resolve({})
    training = {"epochs": 1, "batch_size": 64}
    sasrec = build({"kind": "sasrec", "width": 64, "training": training})
    sasrec.fit(shop.training_data)
    vectors = np.random.default_rng(0).normal(size=(N_ITEMS, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    features = ranking_features(shop, vectors, recipe.ranking)
    log = click_log(shop, features, recipe.ranking, seed=0)
    ranker = build({"kind": "dcn_v2", "training": training | {"monitor": None}})
    ranker.fit(log.train.table(features))
    calibrator = Platt().fit(ranker.score(log.test.table(features)), log.test.clicks)
    served = Served(sasrec, None, ranker, features, calibrator, order="ranker")
    export_bundle(folder, shop.data, served, recipe)


def compare_scans(folder: Path) -> tuple[float, float]:
    """CPU time of the 8-bit scan as a share of the exact one's, and the share of equal lists."""
    engine = Engine(folder)
    costs, lists = [], []
    histories = np.random.default_rng(2).integers(0, N_ITEMS, (300, N_HISTORY)).astype(np.int32)
    states = [engine._encode(history) for history in histories]
    for retrieve in (engine.retrieve, Products(engine.vectors)):
        pairs = list(zip(states, histories, strict=True))
        took = []
        for _ in range(3):
            began = time.process_time()
            found = [retrieve(state, K, history)[0] for state, history in pairs]
            took.append(time.process_time() - began)
        costs.append(min(took))
        lists.append(np.stack(found))
    return costs[0] / costs[1], float((lists[0] == lists[1]).all(1).mean())


@contextmanager
def served(*arguments: str) -> Iterator[tuple[int, HTTPConnection]]:
    """A server in a process of its own, on one thread: its number, and a connection to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "etalage", "serve", *arguments, "--port", str(port)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    connection = HTTPConnection("127.0.0.1", port)
    try:
        for _ in range(300):
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                break
            except ConnectionRefusedError:
                connection.close()
                time.sleep(0.1)
        yield server.pid, connection
    finally:
        server.terminate()
        server.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        export(Path(place) / "bundle")
        share, equal = compare_scans(Path(place) / "bundle")
        with served(f"{place}/bundle") as (pid, connection):
            walls, cpu, memory = measure(pid, connection)
    p50, p99 = np.percentile(walls, [50, 99])
    print(f"wall p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    seconds = time.perf_counter() - started
    what = "at 50,000 items, history 30"
    record("house", f"CPU time of a /recommend {what}", 1000 * cpu / N_REQUESTS, "ms", "<=1.5",
           seconds=seconds)  # fmt: skip
    record("house", "8-bit scan at 50,000 items, share of the exact scan's time", share, "",
           "<=1", seconds=seconds)  # fmt: skip
    record("house", "8-bit scan at 50,000 items, share of lists equal to exact ones", equal, "",
           ">=1", seconds=seconds)  # fmt: skip
    record("house", f"memory of the serving process {what}", memory, "MB", "<=250",
           seconds=seconds)  # fmt: skip


def measure(pid: int, connection: HTTPConnection) -> tuple[list[float], float, float]:
    """Wall milliseconds of each request, CPU seconds of all, peak memory."""
    rng = np.random.default_rng(1)
    bodies = [
        json.dumps({"history": [f"item-{i:05d}" for i in row], "k": K})
        for row in rng.integers(0, N_ITEMS, (N_REQUESTS + 100, N_HISTORY))
    ]  # fmt: skip
    walls, before = [], 0.0
    for n, body in enumerate(bodies):
        if n == 100:  # warm by now
            before = cpu_seconds(pid)
        sent = time.perf_counter()
        connection.request("POST", "/recommend", body)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        if n >= 100:
            walls.append(1000 * (time.perf_counter() - sent))
        assert answer.status == 200, content
        assert len(content["items"]) == K, content
        assert not content["degraded"], content
    return walls, cpu_seconds(pid) - before, resident_mb(pid)


if __name__ == "__main__":
    main()
