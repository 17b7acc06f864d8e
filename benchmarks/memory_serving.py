"""Claims about the memory in the server: what is refused is never shown, and what a request costs.

10,000 slates are drawn from a simulated shop for 500 people who refused words of its catalogue;
then `etalage serve --memory` runs in a process of its own, and its CPU time is read from the
system while one client writes, reads and asks for recommendations.

    python benchmarks/memory_serving.py
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from claims import record
from etalage.memory.store import MemoryStore, now_ms
from etalage.memory.tokens import issue
from etalage.models.registry import build
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.shop import open_shop
from etalage.recipe.recipe import resolve
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.keeper import Keeper
from etalage.serve.runtime.kept_out import Filter
from serving import cpu_seconds, served

KEY = b"the key of a benchmark"
SHOP = {"data": {"simulated": {"users": 300, "items": 1000, "days": 60}}}
N_PEOPLE, N_SLATES, N_REQUESTS, N_MEMORIES = 500, 10_000, 1000, 100
FORMS = ["Never {}.", "I don't like {}", "I'm allergic to {}", "I hate {}!", "no more {} please"]


def export(folder: Path) -> None:
    recipe = resolve(SHOP)
    shop = open_shop(recipe)
    model = build({"kind": "sasrec", "width": 32, "training": {"epochs": 1, "batch_size": 64}})
    model.fit(shop.training_data)
    export_bundle(folder, shop.data, Served(model), recipe)


def violations(folder: Path, path: Path) -> tuple[int, int]:
    """Items in 10,000 slates that have a refused word, found by other means than the filter's;
    and the slates that would have had one."""
    engine, draw = Engine(folder), random.Random(0)
    texts = [
        f"{title} {category}".lower()
        for title, category in zip(
            engine.catalogue.titles, engine.catalogue.categories, strict=True
        )
    ]
    words = sorted({word for text in texts for word in re.findall("[a-z]{4,}", text)})
    wrong = spoilt = 0
    with MemoryStore(path, key=KEY) as store:
        kept_out = Filter(Keeper(store, KEY))
        for person in range(N_PEOPLE):
            memory, refused = store.user(f"person {person}"), draw.sample(words, draw.randint(1, 4))
            memory.write_many(draw.choice(FORMS).format(word) for word in refused)
            forms = [re.compile(rf"\b{word}\b") for word in refused]
            for _ in range(N_SLATES // N_PEOPLE):
                history = np.array(draw.sample(range(len(texts)), draw.randint(0, 20)), np.int32)
                k = draw.randint(1, 100)
                hidden = kept_out.of(engine, memory).items
                slate = engine.recommend(history, k, exclude=hidden).items.tolist()
                plain = engine.recommend(history, k).items.tolist()
                wrong += sum(any(form.search(texts[i]) for form in forms) for i in slate)
                spoilt += any(form.search(texts[i]) for form in forms for i in plain)
    return wrong, spoilt


def costs(folder: Path, path: Path, key_file: Path) -> dict[str, float]:
    """CPU-ms of the server a request, by what is asked."""

    def ask(
        connection: HTTPConnection, path: str, body: dict[str, Any], user: str | None = None
    ) -> None:
        until = now_ms() + 3_600_000
        head = {"authorization": f"Bearer {issue(KEY, user, until)}"} if user else {}
        connection.request("POST", path, json.dumps(body), head)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(content.decode())

    def cost(pid: int, one: Callable[[int], None]) -> float:
        for n in range(20):
            one(n)
        before = cpu_seconds(pid)
        for n in range(N_REQUESTS):
            one(n)
        return 1000 * (cpu_seconds(pid) - before) / N_REQUESTS

    history = [f"item-{n:05d}" for n in range(30)]
    recommended = {"history": history, "k": 20}
    arguments = (str(folder), "--memory", str(path), "--key-file", str(key_file))
    with served(*arguments) as (pid, connection):
        asked = partial(ask, connection)
        return {
            "write": cost(
                pid, lambda n: asked("/memory", {"text": f"I like thing {n}"}, f"u{n % 10}")
            ),
            "read": cost(
                pid, lambda n: asked("/memory/read", {"question": f"thing {n}?"}, f"u{n % 10}")
            ),
            "plain": cost(pid, lambda n: asked("/recommend", recommended)),
            "filtered": cost(pid, lambda n: asked("/recommend", recommended, "person 3")),
        }


def main() -> None:
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        folder, key_file = Path(place) / "bundle", Path(place) / "key"
        key_file.write_bytes(KEY)
        export(folder)
        wrong, spoilt = violations(folder, Path(place) / "slates.sqlite")
        with MemoryStore(Path(place) / "m.sqlite", key=KEY) as store:
            store.user("person 3").write_many(
                ["never wool", "I hate glass", *(f"I like thing {n}" for n in range(98))]
            )
        cost = costs(folder, Path(place) / "m.sqlite", key_file)
    seconds = time.process_time() - began
    record("memory", "refused items in 10,000 slates", wrong, "items", "<=0", seconds=seconds)
    record("memory", "of 10,000 slates those that would have had one", spoilt, "", ">=1000",
           seconds=seconds)  # fmt: skip
    record("memory", "CPU time of a durable write over HTTP", cost["write"], "ms", "<=4",
           seconds=seconds)  # fmt: skip
    record("memory", "CPU time of a read over HTTP, 100 memories", cost["read"], "ms", "<=4",
           seconds=seconds)  # fmt: skip
    more = cost["filtered"] - cost["plain"]
    record("memory", "CPU time that a filtered /recommend takes more, 100 memories", more, "ms",
           "<=4", seconds=seconds)  # fmt: skip


if __name__ == "__main__":
    main()
