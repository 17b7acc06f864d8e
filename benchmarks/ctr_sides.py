"""Our side of the speed of rankers, and what the machine itself allows; one side a process.

Reads one JSON argument, as the peers do, and prints one JSON line. `side` is

- 'ours': a fit, judging and scoring;
- 'loader': rows as they reach a network, on one thread;
- 'roof': the matrix products of a step alone, with nothing between them.

Letters: B rows of a batch.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ctr_cases import maps, trained_maps
from etalage.calibrate.measures import log_loss
from etalage.data.features import FeatureTable
from etalage.evaluate.classification import auc
from etalage.evaluate.latency import latency_ms
from etalage.models.registry import build
from etalage.train.context import FitReport, TrainContext

ONE_BY_ONE = 500


def seconds_of(work: Callable[[], object], least: float) -> float:
    """Median wall seconds of `work()`, repeated for `least` seconds after a first one."""
    work()
    taken: list[float] = []
    while sum(taken) < least:
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def ours(job: dict[str, Any]) -> dict[str, float]:
    """Trains for about `seconds` after a first epoch, then judges and scores."""
    folder, threads, seconds = Path(job["folder"]), job["threads"], job["seconds"]
    train, valid = (FeatureTable.load(folder / part) for part in ("train", "valid"))

    def fitted(epochs: int) -> tuple[Any, FitReport]:
        training = {"epochs": epochs, "batch_size": job["batch_size"], "learning_rate": 1e-3,
                    "clip_norm": 10.0, "monitor": None}  # fmt: skip
        model = build({**job["settings"], "training": training}, role="ranker")
        return model, model.fit(train, TrainContext(threads=threads))

    _, first = fitted(1)
    model, report = fitted(2 + int(seconds / first.history[0]["seconds"]))
    epochs = report.history[1:]  # the first warms up
    n_steps = -(-len(train) // job["batch_size"])
    n_rows = len(train) * len(epochs)

    def judge() -> None:
        with model.as_judged():
            scores = model.score(valid)
        auc(scores, valid.labels)
        log_loss(1 / (1 + np.exp(-scores.astype(np.float64))), valid.labels)

    torch.set_num_threads(threads)
    found = {
        "n_parameters": report.n_parameters,
        "train": n_rows / sum(row["seconds"] for row in epochs),
        "train_cpu": n_rows / sum(n_steps / row["steps_per_cpu_second"] for row in epochs),
        "judge": len(valid) / seconds_of(judge, seconds / 3),
        "score": len(valid) / seconds_of(lambda: model.score(valid), seconds / 3),
    }
    torch.set_num_threads(1)
    found["score_one_core"] = len(valid) / seconds_of(lambda: model.score(valid), seconds / 3)
    single = [valid.take(slice(n, n + 1)) for n in range(ONE_BY_ONE)]
    found["one_row_us"] = 1000 * latency_ms(model.score, single)["p50"]
    found["one_row_served_us"] = served_us(model, single)
    return found


def served_us(model: Any, single: list[FeatureTable]) -> float:
    """Microseconds in which the exported ranker scores one row."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with TemporaryDirectory() as place:
        model.export(Path(place))
        session = onnxruntime.InferenceSession(f"{place}/ranker.onnx", options)
    asked = {each.name for each in session.get_inputs()}  # one that nothing reads is gone
    requests = []
    for row in single:
        given = {"categories": row.categories.astype(np.int64), "numbers": np.array(row.numbers)}
        if row.bags is not None:
            given["bags"] = row.bags.astype(np.int64)
        requests.append({name: given[name] for name in asked})
    return 1000 * latency_ms(lambda request: session.run(None, request), requests)["p50"]


def loader(job: dict[str, Any]) -> dict[str, float]:
    """Shuffled rows a second, on one thread."""
    from etalage.models.ranking.rows import Rows

    torch.set_num_threads(1)
    table = FeatureTable.load(Path(job["folder"]) / "train")
    rows, rng = Rows(table), np.random.default_rng(0)

    def epoch() -> None:
        for _ in rows.shuffled(job["batch_size"], rng):
            pass

    return {"rows": len(table) / seconds_of(epoch, job["seconds"] / 3)}


def roof(job: dict[str, Any]) -> dict[str, float]:
    """Rows a second of the matrix products alone, by number format and what is done."""
    size, least, n_fields = job["batch_size"], job["seconds"] / 60, job["n_fields"]
    once, step = maps(job["settings"], n_fields), trained_maps(job["settings"], n_fields)
    found = {}
    for name in ("float32", *(["bfloat16"] if has_bfloat16_units() else [])):
        for what, threads, shapes, backward in (
            ("train", job["threads"], step, True),
            ("score", job["threads"], once, False),
            ("score_one_core", 1, once, False),
        ):
            torch.set_num_threads(threads)
            kind = getattr(torch, name)
            seconds = [product_seconds(size, *shape, kind, least, backward) for shape in shapes]
            found[f"{name} {what}"] = size / sum(seconds)
    return found


def product_seconds(
    size: int, n_in: int, n_out: int, kind: torch.dtype, least: float, backward: bool
) -> float:
    """Seconds of X W, and with `backward` those of the gradients of X and of W too."""
    shapes = ((size, n_in), (n_in, n_out), (size, n_out))
    x, w, y = (torch.randn(shape).to(kind) for shape in shapes)
    to_x, to_w = torch.empty_like(x), torch.empty_like(w)

    def products() -> None:
        torch.mm(x, w, out=y)
        if backward:
            torch.mm(y, w.T, out=to_x)
            torch.mm(x.T, y, out=to_w)

    return seconds_of(products, least)


def has_bfloat16_units() -> bool:
    """Whether the processor multiplies in bfloat16."""
    facts = Path("/proc/cpuinfo")
    text = facts.read_text() if facts.exists() else ""
    return "avx512_bf16" in text or "amx_bf16" in text


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    sides: dict[str, Callable[[dict[str, Any]], Any]] = {
        "ours": ours, "loader": loader, "roof": roof
    }  # fmt: skip
    print(json.dumps(sides[asked["side"]](asked)))
