"""Writes until it is killed, and says what it was told is on the disk. Run as a process.

python crashing.py FILE SEED HOW      # HOW: single, batch, writer or forget
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from threading import Semaphore

from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.writer import Writer


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one write, so that no line is half there


def names(rng: random.Random) -> Iterator[tuple[str, str]]:
    while True:
        user = f"user {rng.randrange(5)}"
        yield user, f"I like number {rng.randrange(10**9)} " + "x" * rng.choice([1, 50, 9000])


def main() -> None:
    path, seed, how = sys.argv[1:4]
    rng = random.Random(f"{seed} {how}")
    store = MemoryStore(path)
    pairs = names(rng)
    say("ready")
    if how == "writer":
        waiting = Semaphore(64)

        def kept(done: Future[int], user: str, text: str) -> None:
            say(f"kept\t{user}\t{done.result()}\t{text}")
            waiting.release()

        with Writer(store) as writer:
            for user, text in pairs:
                waiting.acquire()
                future = writer.write(user, Statement(text))
                future.add_done_callback(partial(kept, user=user, text=text))
    while True:
        batch = [next(pairs) for _ in range(1 if how != "batch" else 20)]
        numbers = store.write_many((user, Statement(text)) for user, text in batch)
        for (user, text), number in zip(batch, numbers, strict=True):
            say(f"kept\t{user}\t{number}\t{text}")
        if how == "forget" and rng.random() < 0.5:
            user, number = batch[0][0], numbers[0]
            say(f"begun\t{user}\t{number}\t")
            store.user(user).forget(number)
            say(f"gone\t{user}\t{number}\t{batch[0][1]}")


if __name__ == "__main__":
    main()
