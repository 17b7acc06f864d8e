"""Claims about what the memory promises: nothing acknowledged is lost, nothing forgotten is left,
nobody sees anybody else. The tests do the same more briefly.

    python benchmarks/memory_promises.py
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from claims import record
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import verify
from tested import count_failures

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.memory.test_crashes import killed
from tests.memory.test_forgetting import needles, on_disk, secret
from tests.memory.test_isolation import N_ACTS, World

N_KILLS, N_SECRETS = 100, 300
WAYS = ("single", "batch", "writer", "forget")


def kills() -> None:
    """Kills writers at random moments; `killed` raises where anything is lost or damaged."""
    rng, n_kept, began = random.Random(0), 0, time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(N_KILLS):
            how = WAYS[seed % len(WAYS)]
            n_kept += killed(Path(folder) / f"{how}.sqlite", seed, how, rng.uniform(0.02, 0.5))
            print(f"kill {seed}, {n_kept} acknowledged", file=sys.stderr)
    seconds = time.process_time() - began
    record("memory", "acknowledged memories of which 100 kills lost none", n_kept, "", ">=1000",
           seconds=seconds)  # fmt: skip


def forgetting() -> None:
    """Forgets what others write around; counts forms of it that are left anywhere in the files."""
    stop, left, began = threading.Event(), 0, time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.sqlite"
        with MemoryStore(path) as store:

            def load(name: str) -> None:
                rng = random.Random(name)
                while not stop.is_set():
                    store.user(name).write(secret(rng))
                    store.user(name).read("red things that I like")
                    stop.wait(0.002)

            threads = [threading.Thread(target=load, args=(name,)) for name in ("bob", "cleo")]
            for thread in threads:
                thread.start()
            rng, ann, n_scrubbed = random.Random(1), store.user("ann"), 0
            for _ in range(N_SECRETS):
                text = secret(rng)
                number = ann.write(text)
                forms = needles(store, "ann", text)
                ann.read(text[:50])
                n_scrubbed += ann.forget(number).is_scrubbed
                left += len(on_disk(path, forms))
            stop.set()
            for thread in threads:
                thread.join()
            assert verify(store) == []
    seconds = time.process_time() - began
    record("memory", "forgotten texts of 300, under load, of which any byte form was left", left,
           "", "<=0", seconds=seconds)  # fmt: skip
    record("memory", "of them, scrubbed when the receipt was given", n_scrubbed / N_SECRETS, "",
           ">=1", seconds=seconds)  # fmt: skip


def isolation() -> None:
    """Random acts of fifty users beside plain dicts; an act that differs raises."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder, MemoryStore(f"{folder}/m.sqlite") as store:
        with store.database.outside() as run:
            run("PRAGMA synchronous=OFF")  # the disk is not what is tested here
        world = World(store, seed=11)
        for _ in range(N_ACTS):
            world.act()
        assert verify(store) == []
    record("memory", "answers in 10,000 random acts of 50 users, none with a row of another",
           world.n_hits, "", ">=10000", seconds=time.process_time() - began)  # fmt: skip


TESTED = {
    "disks that fill or become read-only, processes that write at once, errors midway": [
        "tests/memory/test_crashes.py", "tests/memory/test_turns.py"],
    "bad input, clocks set back, keys, backups and ends": ["tests/memory/test_store.py"],
    "another user's token, bad input and every endpoint over HTTP": ["tests/serve/test_memory.py"],
    "changes to the trail that are found": ["tests/memory/test_trail.py"],
}  # fmt: skip


if __name__ == "__main__":
    count_failures("memory", TESTED)
    isolation()
    forgetting()
    kills()
