"""Claims about the store of memories: how long it takes when a million are in it, and how little.

Ten thousand users with a hundred memories each and one with ten thousand, in one file. The file is
kept in `runs/memory/` and made once (about five CPU-minutes).

    python benchmarks/memory_store.py
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from claims import record
from etalage.language.ngrams import NgramEncoder
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import stats

OUT = Path(__file__).parents[1] / "runs" / "memory"
N_USERS, N_EACH, N_HEAVY = 10_000, 100, 10_000
USERS_AT_ONCE = 50
THINGS = [
    "jazz",
    "coffee",
    "running shoes",
    "Lyon",
    "the red mug",
    "my sister",
    "a dentist",
    "hiking",
    "the office",
    "my bike",
    "pasta",
    "a blue jacket",
    "the museum",
    "chess",
    "gardening",
    "a novel",
    "the train",
    "a birthday cake",
    "the garden",
    "a camera",
    "green tea",
    "the gym",
    "my laptop",
    "an umbrella",
    "the dog",
    "a wedding",
    "winter boots",
    "the piano",
]
FORMS = (
    "I went to {} with {} on Tuesday", "Yesterday we talked about {} and {} for hours",
    "I like {} but not {}", "Please remind me of {} before {}", "We saw {} near {} last week",
    "My friend told me that {} beats {}", "Has anybody seen {} or {}?",
)  # fmt: skip
QUESTIONS = ("what did I say of {}?", "when did I see {}?", "do I like {}?", "{} and {}")


def sentence(rng: random.Random) -> str:
    """A text with a number that hardly any other has."""
    things = rng.sample(THINGS, 2)
    return f"{rng.choice(FORMS).format(*things)}, number {rng.randrange(10**6)}"


def question(rng: random.Random) -> str:
    return rng.choice(QUESTIONS).format(*rng.sample(THINGS, 2))


class Remembering:
    """An encoder whose vectors were made before, so that a reading is timed without it."""

    def __init__(self, encoder: NgramEncoder) -> None:
        self._encoder, self.known = encoder, {}
        self.width, self.fingerprint = encoder.width, encoder.fingerprint

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        missing = [text for text in texts if text not in self.known]
        self.known |= dict(zip(missing, self._encoder.encode(missing), strict=True))
        return np.stack([self.known[text] for text in texts])


def build(path: Path, n_users: int, n_heavy: int = 0) -> float:
    """Makes a file; returns the CPU-seconds, 0 where it was there."""
    if path.exists():
        return 0.0
    draft = path.with_suffix(".draft")
    for old in path.parent.glob(f"{draft.name}*"):
        old.unlink()
    rng, started = random.Random(n_users), time.process_time()
    with MemoryStore(draft) as store:
        for low in range(0, n_users, USERS_AT_ONCE):
            users = range(low, min(low + USERS_AT_ONCE, n_users))
            store.write_many(
                (f"user {user}", Statement(sentence(rng))) for user in users for _ in range(N_EACH)
            )
            if low % 1000 == 0:
                print(f"{low} users, {time.process_time() - started:.0f} s", file=sys.stderr)
        for _ in range(0, n_heavy, 1000):
            store.write_many(("heavy", Statement(sentence(rng))) for _ in range(1000))
        store.scrub()
    draft.rename(path)
    return time.process_time() - started


def milliseconds(acts: Iterator[Callable[[], object]]) -> np.ndarray:
    """How long each took, by the clock on the wall."""
    took = []
    for act in acts:
        started = time.perf_counter_ns()
        act()
        took.append((time.perf_counter_ns() - started) / 1e6)
    return np.array(took)


def reads(store: MemoryStore, users: Sequence[str], n: int, seed: int) -> np.ndarray:
    rng = random.Random(seed)
    asked = [(store.user(rng.choice(users)), question(rng)) for _ in range(n)]
    store.encoder.encode([text for _, text in asked])
    return milliseconds(partial(user.read, text) for user, text in asked)


def alone(path: Path) -> dict[str, float]:
    """Opens a store and reads it in this process: seconds to open, ms a reading, MB resident."""
    started = time.perf_counter()
    store = MemoryStore(path, Remembering(NgramEncoder()))
    opened = time.perf_counter() - started
    users = [f"user {at}" for at in range(N_USERS)]
    took = reads(store, users, 3000, seed=1)
    cold, warm = [], []
    for seed in range(40):
        store.shelf.drop_all()
        cold += reads(store, ["heavy"], 1, seed).tolist()
        warm += reads(store, ["heavy"], 5, 100 + seed).tolist()
    rng = random.Random(3)
    write = milliseconds(
        partial(store.user(rng.choice(users)).write, sentence(rng)) for _ in range(500)
    )
    erased = []
    for at in range(N_USERS - 40, N_USERS):
        user = store.user(f"user {at}")
        erased += milliseconds(iter([user.erase])).tolist()
        user.write_many(sentence(rng) for _ in range(N_EACH))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "open_s": opened, "p50": float(np.percentile(took, 50)),
        "p99": float(np.percentile(took, 99)), "cold_p95": float(np.percentile(cold, 95)),
        "warm_p95": float(np.percentile(warm, 95)), "write_p95": float(np.percentile(write, 95)),
        "write_p50": float(np.percentile(write, 50)), "resident_mb": resident,
        "erase_p95": float(np.percentile(erased, 95)),
    }  # fmt: skip


def small(path: Path) -> float:
    """Median milliseconds of a reading of a store of a hundred users."""
    with MemoryStore(path, Remembering(NgramEncoder())) as store:
        users = [f"user {at}" for at in range(N_USERS // 100)]
        # each user is read about as seldom as in the large store, so what is kept helps neither
        took = []
        for seed in range(30):
            store.shelf.drop_all()
            took.append(reads(store, users, 100, seed))
    return float(np.percentile(np.concatenate(took), 50))


def main() -> None:
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(alone(Path(sys.argv[2]))))
        return
    OUT.mkdir(parents=True, exist_ok=True)
    large = OUT / "million.sqlite"
    seconds = build(large, N_USERS, N_HEAVY)
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        little = Path(folder) / "little.sqlite"
        build(little, N_USERS // 100)
        p50_small = small(little)
    command = [sys.executable, __file__, "--alone", str(large)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with MemoryStore(large) as store:
        counts = stats(store)
    n = f"{counts['n_memories'] / 1e6:.2f} M memories"
    if seconds:
        per = 1e6 * seconds / counts["n_memories"]
        record("memory", "CPU-µs to write one memory, many at once", per, "µs", "<=1000",
               seconds=seconds)  # fmt: skip
    for name, claim, unit, target in (
        ("write_p95", f"a durable write at {n}, p95", "ms", "<=15"),
        ("write_p50", f"a durable write at {n}, p50", "ms", "<=15"),
        ("p50", f"a hybrid reading at {n}, encoding apart, p50", "ms", "<=2"),
        ("p99", f"a hybrid reading at {n}, encoding apart, p99", "ms", "<=20"),
        ("erase_p95", "erasing a user of 100 memories until no byte is left, p95", "ms", "<=160"),
        ("warm_p95", "a reading of a user with 10,000 memories, warm, p95", "ms", "<=25"),
        ("cold_p95", "a reading of a user with 10,000 memories, cold, p95", "ms", "<=150"),
        ("open_s", f"opening {n}", "s", "<=1"),
        ("resident_mb", f"resident after 3,700 readings and writes at {n}", "MB", "<=400"),
    ):
        record("memory", claim, found[name], unit, target)
    record("memory", "a reading at 10^6 memories beside 10^4, p50", found["p50"] / p50_small,
           "ratio", "<=1.5")  # fmt: skip
    record("memory", f"bytes on disk of one memory at {n}",
           counts["n_bytes"] / counts["n_memories"], "B", "<=4000")  # fmt: skip


if __name__ == "__main__":
    main()
