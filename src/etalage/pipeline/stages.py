"""Where are we? One line a stage as it ends, and what each cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Say = Callable[[str], None]


class Stages:
    """The stages of a run so far."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.rows: list[dict[str, Any]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Times a block; what it appends to the list it is given becomes the line's summary."""
        summary: list[str] = []
        started, cpu_started = time.perf_counter(), time.process_time()
        yield summary
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        text = "; ".join(summary)
        row = {"name": name, "seconds": seconds, "cpu_seconds": cpu, "summary": text}
        self.rows.append(row)
        self.say(f"{name:<22} {seconds:6.1f} s   {text}")
