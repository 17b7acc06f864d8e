"""How much may a server be asked at once? As much as it bears, found by trying.

Additive increase, multiplicative decrease (Chiu and Jain, 1989): one more call at a time for every
round that went well, half as many when the server is overloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from random import Random
from threading import Event, Lock
from time import monotonic
from typing import TypeVar

from etalage.errors import AnswerError

START = 8
"""Calls at a time, to begin with."""
MOST_TRIES = 5
FIRST_WAIT_S, LONGEST_BACKOFF_S = 0.5, 30.0

Task = TypeVar("Task")
Found = TypeVar("Found")


class Pace:
    """Calls at a time, and since when the server asked to be left alone. Threads share one.

    >>> pace = Pace(most=64)
    >>> pace.overloaded(began=0.0)
    >>> pace.now
    4
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls = float(min(START, most))
        self._cut_at = 0.0
        self._resume_at = 0.0
        self._lock = Lock()

    @property
    def now(self) -> int:
        """Calls that may run at a time."""
        return int(self._calls)

    def went_well(self) -> None:
        """One more call at a time, once as many as run now have gone well."""
        with self._lock:
            self._calls = min(self._calls + 1 / self._calls, self._most)

    def overloaded(self, began: float) -> None:
        """Half as many calls; what began before the last cut says nothing about this one."""
        with self._lock:
            if began >= self._cut_at:
                self._calls = max(self._calls / 2, 1.0)
                self._cut_at = monotonic()

    def pause(self, seconds: float) -> None:
        """Nothing is asked for so long, by any thread."""
        with self._lock:
            self._resume_at = max(self._resume_at, monotonic() + seconds)

    def hold(self, stop: Event) -> None:
        """Waits until a pause is over, or `stop` is set."""
        while (left := self._resume_at - monotonic()) > 0 and not stop.wait(left):
            pass


def backoff_s(tries: int, random: Random) -> float:
    """Seconds to wait after so many tries: twice as long each time, less a share by chance."""
    longest = min(FIRST_WAIT_S * 2 ** (tries - 1), LONGEST_BACKOFF_S)
    return longest * (1 - random.random() / 2)


def concurrently(
    work: Callable[[Task, Event], Found], tasks: Iterable[Task], pace: Pace, most: int
) -> Iterator[Found]:
    """Yields what work finds, in the order it is found; takes tasks only as they are begun.

    `work` is told by an event when nothing more is wanted. After its first AnswerError nothing
    is begun, what runs is waited for, and the error is raised.
    """
    left, is_over, stop = iter(tasks), False, Event()
    failed: AnswerError | None = None
    running: set[Future[Found]] = set()
    pool = ThreadPoolExecutor(most)
    try:
        while True:
            while not is_over and failed is None and len(running) < pace.now:
                for task in left:
                    running.add(pool.submit(work, task, stop))
                    break
                else:
                    is_over = True
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    found = future.result()
                except AnswerError as error:
                    failed = failed or error
                    stop.set()
                else:
                    yield found
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
    if failed is not None:
        raise failed
