"""Claims about search: ids as Hugging Face's `generate` finds them, at a fraction of its CPU.

TIGER's network (4 + 4 blocks, width 128) over LETTER's published ids of Beauty, beam 20, histories
of 20 items; then every history of Beauty's test. Needs transformers (etalage[llm]).

    python benchmarks/decoding.py [--users 200]
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from claims import record
from etalage.artefact import sha256_of
from etalage.data.ingest import open_dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories
from etalage.data.split import leave_one_out
from etalage.models.generative.tiger import TIGER, TIGERConfig
from etalage.models.sequential.batches import Prefixes
from etalage.tokenize.semantic_ids import SemanticIds

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE))
from tests.models.hugging import as_t5, prompt_of, searched  # noqa: E402

DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data"))
CONFIG = TIGERConfig(
    network="encoder_decoder", softmax="vocabulary", width=128, n_heads=6, head_width=64,
    n_layers=4, inner_width=1024, max_length=20, dropout=0.1,
)  # fmt: skip
GFLOP = 0.71
"""What a history of 20 items costs at least: reading .34, keys of it .06, writing .31."""
BATCH = 64
SHORTER = ("bfloat16", "int8")


def tiger() -> TIGER:
    """An unfitted model over LETTER's ids of Beauty; the last code of the 13 items that share one
    moves on to the next that is free."""
    named = json.loads((DATA / "codes" / "letter" / "Beauty.index.json").read_text())
    taken: set[tuple[int, ...]] = set()
    for item in range(len(named)):
        *first, last = (int(t.split("_")[1][:-1]) for t in named[str(item)])
        while (*first, last) in taken:
            last = (last + 1) % 256
        taken.add((*first, last))
        named[str(item)] = (*first, last)
    codes = np.array([named[str(item)] for item in range(len(named))], dtype=np.int32)
    model = TIGER(CONFIG)
    model._prepare(SemanticIds(codes, (256,) * 4), seed=0)
    return model


def cpu(work: Callable[[], object], n: int) -> float:
    """CPU milliseconds a person, the least of three times: neighbours on a machine only add."""
    costs = []
    for _ in range(3):
        began = time.process_time()
        work()
        costs.append(1000 * (time.process_time() - began) / n)
    return min(costs)


def parity(model: TIGER, histories: Histories, weights: str, common: dict) -> None:
    """Holds lists and scores against `generate`, at four widths of the beam."""
    theirs = as_t5(model.network, CONFIG)
    prompts = [prompt_of(model.network, row[row >= 0].tolist()) for row in histories.items]
    for n_beams in (1, 5, 20, 50):
        model.config = CONFIG.model_copy(update={"n_beams": n_beams})
        top = model.recommend(histories, n_beams)
        items, scores = [], []
        for start in range(0, len(prompts), 8):
            found = searched(theirs, model.network, prompts[start : start + 8], n_beams)
            items.append(found[0])
            scores.append(found[1])
        same = float((np.concatenate(items) == top.items).mean())
        what = f"{weights} weights, beam {n_beams}"
        record("generative", f"places equal to generate's, {what}", same, "", ">=1", **common)
        if n_beams > 1:
            apart = float(np.abs(np.concatenate(scores) - top.scores).max())
            record("generative", f"scores apart from generate's, {what}", apart, "", "<=1e-5",
                   **common)  # fmt: skip
    model.config = CONFIG


def flops() -> float:
    """Matrix products of this machine, GFLOP/s of one core in float32."""
    a, b = torch.randn(2592, 128), torch.randn(1024, 128)
    torch.nn.functional.linear(a, b)
    began = time.process_time()
    for _ in range(60):
        torch.nn.functional.linear(a, b)
    return 60 * 2 * a.numel() * len(b) / (time.process_time() - began) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--speed", action="store_true", help="only what a list costs")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no data folder; set ETALAGE_DATA")
    path = DATA / "sequences" / "s3rec" / "beauty"
    common = {"data_hash": sha256_of(path / "sequences.txt")[:16]}
    data = open_dataset(path)
    split = leave_one_out(data.interactions)
    model = tiger()
    asked = split.test.histories(20)
    shares(model, asked.take(np.arange(options.users)), common)
    if not options.speed:
        equal(model, asked, split.train, options.users, common)
    cost(model, common)
    if not options.speed:
        began = time.process_time()
        model.recommend(asked, 20)
        record("generative", "CPU of Beauty's whole test, 22,363 lists",
               time.process_time() - began, "s", "<=300", **common)  # fmt: skip


def equal(model: TIGER, asked: Histories, log: Interactions, n_users: int, common: dict) -> None:
    """Lists and scores are those of `generate`, before and after some training."""
    rng = np.random.default_rng(0)
    some = asked.take(rng.choice(len(asked), n_users, replace=False))
    parity(model, some, "random", common)
    learn(model, log)
    parity(model, some, "trained", common)
    legal = model.recommend(some, 50)
    record("generative", "share of 50 places that are filled with items, each once",
           mean(len({*row} - {-1}) / 50 for row in legal.items.tolist()), "",
           ">=1", **common)  # fmt: skip


def shares(model: TIGER, some: Histories, common: dict) -> None:
    """What fewer digits change, with random weights, which tell people apart most."""
    exact = model.recommend(some, 20).items.tolist()
    for precision in SHORTER:
        found = shortened(model, precision).recommend(some, 20).items.tolist()
        same = mean(len({*a} & {*b}) / 20 for a, b in zip(exact, found, strict=True))
        record("generative", f"share of a list in {precision} that float32 has, too", same, "",
               ">=0.9", **common)  # fmt: skip


def cost(model: TIGER, common: dict) -> None:
    """CPU of histories of 20 items, beside the machine's own speed and beside `generate`."""
    rng = np.random.default_rng(0)
    full = Histories.from_rows(rng.integers(0, model.n_items, (256, 20)).tolist())
    together(model, BATCH)
    model.recommend(full.take(np.arange(BATCH)), 20)
    ours = cpu(lambda: model.recommend(full, 20), 256)
    record("generative", "CPU of a list, 20 beams, 20 items", ours, "ms", "<=12", **common)
    roof = flops()
    floor = 1000 * GFLOP / roof
    record("generative", "of it, matrix products at this machine's speed", floor / ours, "",
           ">=0.5", **common)  # fmt: skip
    for precision in SHORTER:
        in_short = shortened(model, precision)
        shorter = cpu(lambda in_short=in_short: in_short.recommend(full, 20), 256)
        record("generative", f"CPU of a list in {precision} over that in float32", shorter / ours,
               "", "<=0.8", **common)  # fmt: skip
    theirs = as_t5(model.network, CONFIG)
    prompts = [prompt_of(model.network, row.tolist()) for row in full.items[:64]]
    for size in (8, BATCH):
        together(model, size)
        ours = cpu(lambda: model.recommend(full.take(np.arange(64)), 20), 64)
        parts = [prompts[i : i + size] for i in range(0, 64, size)]
        their = cpu(
            lambda parts=parts: [searched(theirs, model.network, part, 20) for part in parts], 64
        )
        record("generative", f"CPU of generate over ours, {size} people at once", their / ours, "x",
               ">=6", peer="transformers generate, prefix_allowed_tokens_fn", **common)  # fmt: skip
    together(model, BATCH)


def shortened(model: TIGER, precision: str) -> TIGER:
    """The same model that searches in fewer digits."""
    short = copy.copy(model)
    short.config = CONFIG.model_copy(update={"search_precision": precision})
    return short


def together(model: TIGER, n_people: int) -> None:
    """Sets how many people are searched at once."""
    type(model.network).rows_at_once = n_people * CONFIG.n_beams


def learn(model: TIGER, log: Interactions, n_steps: int = 60) -> None:
    """Trains for some steps, so that weights are no longer random."""
    network = model.network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    batches = Prefixes(log.items, log.offsets, CONFIG.max_length, 256)
    torch.manual_seed(0)
    for _, batch in zip(range(n_steps), batches.batches(np.random.default_rng(0)), strict=False):
        optimizer.zero_grad()
        network.spell(batch).surprise.backward()
        optimizer.step()
    network.eval()


if __name__ == "__main__":
    main()
