"""How is much written at once, and nothing lost? By one thread, many statements a commit.

A future is settled only when its statement is on the disk, so what was acknowledged survives
whatever happens to the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, Queue
from types import TracebackType

from etalage.errors import EtalageError
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore

AT_ONCE = 512
"""Statements of one commit; they share the wait for the disk."""


class Writer:
    """Writes in the background.

    Args:
        store: to write to.
        waiting: statements that may wait; more make `write` wait, so memory stays bounded.
    """

    def __init__(self, store: MemoryStore, waiting: int = 10_000) -> None:
        self._store = store
        self._queue: Queue[tuple[str, Statement, Future[int]] | None] = Queue(waiting)
        self._lock = threading.Lock()
        self._is_open = True
        self._thread = threading.Thread(target=self._work, name="memory writer", daemon=True)
        self._thread.start()

    def write(self, user: str, statement: Statement) -> Future[int]:
        """Returns at once; the future has the number once it is on the disk, or the error."""
        self._store.user(user)  # a name that is none is said at once
        future: Future[int] = Future()
        with self._lock:
            if not self._is_open:
                raise ValueError("the writer is closed")
            self._queue.put((user, statement, future))
        return future

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
            batch = [self._queue.get()]
            with suppress(Empty):
                while len(batch) < AT_ONCE and batch[-1] is not None:
                    batch.append(self._queue.get_nowait())
            is_last = batch[-1] is None
            given = [entry for entry in batch if entry is not None]
            given = [entry for entry in given if entry[2].set_running_or_notify_cancel()]
            if given and not self._settled(given):
                for entry in given:  # one that cannot be written must not keep the others
                    self._settled([entry])

    def _settled(self, given: list[tuple[str, Statement, Future[int]]]) -> bool:
        settle: Callable[[Future[int], int], None] = Future.set_result
        try:
            numbers = self._store.write_many([(user, said) for user, said, _ in given])
        except Exception as error:
            if len(given) > 1 and isinstance(error, EtalageError):
                return False
            for _, _, future in given:
                future.set_exception(error)
            return True
        for (_, _, future), number in zip(given, numbers, strict=True):
            settle(future, number)
        return True

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
