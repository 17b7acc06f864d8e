"""Whose turn is it to write? One process's at a time, and the next knows whether it was finished.

SQLite lets others write between two steps of writing a log back: what they change then would be
written back by the second step, and nobody would know of which pages. So whoever writes holds a
lock of our own, on a file of one byte beside the memory. The byte tells that the gaps of some pages
may not be clear, of which the log no longer tells: somebody was killed in the middle.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

CLEAR, UNFINISHED = b"0", b"1"


class Turns:
    """The turns of all processes, and of all stores of one.

    Args:
        path: of the file of the lock; made where there is none, for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not os.fstat(self._handle).st_size:
            os.pwrite(self._handle, CLEAR, 0)  # at once: on a disk that is full there is no room

    @contextmanager
    def mine(self, seconds: float) -> Iterator[bool]:
        """Waits for the turn, and has it; yields whether it came in time."""
        deadline, pause = monotonic() + seconds, 0.0005
        while not (came := self._taken()) and monotonic() < deadline:
            sleep(pause)
            pause = min(2 * pause, 0.002)
        try:
            yield came
        finally:
            if came:
                fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    @property
    def is_unfinished(self) -> bool:
        """Whether somebody began to write back, and did not clear the gaps."""
        return os.pread(self._handle, 1, 0) == UNFINISHED

    def mark(self, *, is_unfinished: bool) -> None:
        """Says so to whoever comes next. It need not outlast a loss of power: the log is read anew
        from its beginning then."""
        os.pwrite(self._handle, UNFINISHED if is_unfinished else CLEAR, 0)

    def close(self) -> None:
        os.close(self._handle)
