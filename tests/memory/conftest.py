"""Stores of memories for tests, with a clock that is told the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etalage.memory.store import MemoryStore

DAY = 86_400_000
START = 1_700_000_000_000


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.sqlite", clock=clock) as opened:
        yield opened
