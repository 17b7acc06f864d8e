"""How is much written at once, and nothing lost? By one thread, many statements a commit.

A future is settled only when its statement is on the disk, so what was acknowledged survives
whatever happens to the process.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from queue import Empty, Queue

from etalage.errors import BusyError
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore

AT_ONCE = 512
"""Statements of one commit; they share the wait for the disk."""


@dataclass(frozen=True, slots=True)
class Written:
    """Statements of one user that are kept together, and the future of their numbers."""

    user: str
    statements: Sequence[Statement]
    numbers: Future[list[int]]


class Writer:
    """Writes in the background.

    Args:
        store: to write to.
        waiting: calls that may wait; more make `write` wait, so memory stays bounded.
    """

    def __init__(self, store: MemoryStore, waiting: int = 10_000) -> None:
        self._store = store
        self._queue: Queue[Written | None] = Queue(waiting)
        self._lock = threading.Lock()
        self._is_open = True
        self._thread = threading.Thread(target=self._work, name="memory writer", daemon=True)
        self._thread.start()

    def write(self, user: str, statement: Statement) -> Future[int]:
        """Returns at once; the future has the number once it is on the disk, or the error."""
        number: Future[int] = Future()

        def settle(numbers: Future[list[int]]) -> None:
            if not number.set_running_or_notify_cancel():
                return
            if error := numbers.exception():
                number.set_exception(error)
            else:
                number.set_result(numbers.result()[0])

        self.write_many(user, [statement]).add_done_callback(settle)
        return number

    def write_many(self, user: str, statements: Sequence[Statement]) -> Future[list[int]]:
        """As `write`, of several statements, all or none. The future of no statements is settled
        once everything is on the disk that was given before."""
        self._store.user(user)  # a name that is none is said at once
        written = Written(user, statements, Future())
        with self._lock:
            if not self._is_open:
                raise ValueError("the writer is closed")
            self._queue.put(written)
        return written.numbers

    def close(self) -> None:
        """Writes what waits, and ends."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        is_last = False
        while not is_last:
            batch: list[Written] = []
            n_statements = 0
            with suppress(Empty):
                while n_statements < AT_ONCE and not is_last:
                    entry = self._queue.get(block=not batch)
                    if entry is None:
                        is_last = True
                    elif entry.numbers.set_running_or_notify_cancel():
                        batch.append(entry)
                        n_statements += len(entry.statements)
            if batch and not self._settled(batch):
                for entry in batch:  # one that cannot be written must not keep the others
                    self._settled([entry])

    def _settled(self, batch: list[Written]) -> bool:
        pairs = [(entry.user, said) for entry in batch for said in entry.statements]
        try:
            numbers = iter(self._store.write_many(pairs))
        except Exception as error:
            # a file that another process keeps is of no statement: alone, each would wait as long
            if len(batch) > 1 and not isinstance(error, BusyError):
                return False
            for entry in batch:
                entry.numbers.set_exception(error)
            return True
        for entry in batch:
            entry.numbers.set_result(list(islice(numbers, len(entry.statements))))
        return True

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
