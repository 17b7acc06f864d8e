"""Claims about a generator that is served: CPU time, equal lists, and the mask of its tree.

A catalogue of the size of Amazon Beauty (12,101 items) has 4 codes of 256 each, and TIGER's
network of width 64 and 2 layers has weights that tell items apart; what it was taught does not
matter here. The engine answers as in the server, without HTTP; 20 beams, history 30.

    python benchmarks/generator_serving.py
"""

import tempfile
import time
from collections.abc import Callable, Sized
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from claims import record
from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets
from etalage.ids import Vocabulary
from etalage.models.generative.tiger import TIGER, TIGERConfig
from etalage.pipeline.export import Served, export_bundle
from etalage.recipe.recipe import resolve
from etalage.serve.runtime.engine import Answer, Engine
from etalage.tokenize.residual import ResidualKMeans
from etalage.tokenize.semantic_ids import SemanticIds
from etalage.tokenize.trie import Trie

N_ITEMS, N_REQUESTS, N_HISTORY, K, N_ROWS = 12_101, 300, 30, 20, 640
SEED = 0


def ids() -> SemanticIds:
    """Codes of vectors that stand in 300 clouds, 4 levels of 256."""
    rng = np.random.default_rng(SEED)
    centres = rng.normal(size=(300, 64))
    noise = 0.7 * rng.normal(size=(N_ITEMS, 64))
    vectors = (centres[rng.integers(0, 300, N_ITEMS)] + noise).astype(np.float32)
    quantizer = ResidualKMeans(4, 256, seed=SEED).fit(vectors)
    return SemanticIds.distinct(quantizer.encode(vectors), quantizer.sizes)


def generator(spelled: SemanticIds, width: int) -> TIGER:
    model = TIGER(TIGERConfig(width=width, n_layers=2, n_beams=K))
    model._prepare(spelled, SEED)
    torch.manual_seed(SEED)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model


def engine_of(model: TIGER, folder: Path) -> Engine:
    users = np.arange(N_ITEMS) // 10
    log = Interactions.from_arrays(users, np.arange(N_ITEMS), n_items=N_ITEMS)
    people = Vocabulary(range(log.n_users))
    data = Dataset("beauty's size", log, people, Vocabulary(range(N_ITEMS)))
    export_bundle(folder, data, Served(model), resolve({}))
    return Engine(folder)


def answers(engine: Engine, rows: NDArray[np.int32]) -> list[Answer]:
    return [engine.recommend(row, K) for row in rows]


def masks(trie: Trie, prefixes: NDArray[np.int32]) -> range:
    for _ in (pieces := range(50)):
        trie.allowed(prefixes)
    return pieces


def cpu_ms(work: Callable[[], Sized], n_times: int = 5) -> float:
    """CPU milliseconds of a piece of some work; the least of a few runs, as others interfere."""
    n_pieces = len(work())
    costs = []
    for _ in range(n_times):
        began = time.process_time()
        work()
        costs.append(time.process_time() - began)
    return 1000 * min(costs) / n_pieces


def mask_ms(model: TIGER) -> float:
    """Milliseconds of the mask of codes for 640 prefixes, the slowest of the levels."""
    trie, rng = model.network.trie, np.random.default_rng(SEED)
    rows = model.ids.codes[rng.integers(0, N_ITEMS, N_ROWS)]
    return max(
        cpu_ms(partial(masks, trie, rows[:, :level]), n_times=20) for level in range(trie.n_levels)
    )


def main() -> None:
    torch.set_num_threads(1)
    started = time.perf_counter()
    rng = np.random.default_rng(1)
    rows = rng.integers(0, N_ITEMS, (N_REQUESTS, N_HISTORY)).astype(np.int32)
    spelled = ids()
    costs, equal = {}, []
    with tempfile.TemporaryDirectory() as place:
        for width in (64, 128):
            model = generator(spelled, width)
            engine = engine_of(model, Path(place) / str(width))
            costs[width] = cpu_ms(partial(answers, engine, rows))
            top = model.recommend(Histories(rows), K, exclude=ItemSets.from_rows(rows))
            found = zip(answers(engine, rows), top.items, top.scores, strict=True)
            for answer, items, scores in found:
                near = np.abs(answer.scores - scores).max() <= 1e-4
                equal.append(near and np.array_equal(answer.items, items))
    seconds = time.perf_counter() - started
    what = f"{N_ITEMS:,} items, {K} beams, history {N_HISTORY}"
    for width, cost in costs.items():
        record("generative", f"CPU time of a served generator's list, width {width}, {what}", cost,
               "ms", "<=3", seeds=[SEED], seconds=seconds)  # fmt: skip
    record("generative", f"served lists of a generator equal to the model's, {what}",
           float(np.mean(equal)), "", ">=1", seeds=[SEED], seconds=seconds)  # fmt: skip
    record("generative", f"mask of codes for {N_ROWS} prefixes of {N_ITEMS:,} items",
           mask_ms(model), "ms", "<=0.1", seeds=[SEED], seconds=seconds)  # fmt: skip


if __name__ == "__main__":
    main()
