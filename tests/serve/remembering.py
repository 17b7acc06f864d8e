"""A memory that is served for a test, and clients that hold tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from etalage.memory.store import now_ms
from etalage.memory.tokens import issue
from etalage.serve.runtime.keeper import Keeper
from etalage.serve.runtime.memory import create_memory_app

KEY = b"a key of a shop that is tested"
HOUR_MS = 3_600_000


def token(user: str, key: bytes = KEY, until: int | None = None) -> dict[str, str]:
    """The header of a user's token."""
    given = issue(key, user, now_ms() + HOUR_MS if until is None else until)
    return {"authorization": f"Bearer {given}"}


@contextmanager
def served(path: Path) -> Iterator[tuple[TestClient, Keeper]]:
    """A client of a memory alone; it has no token of its own."""
    keeper = Keeper.open(path, KEY)
    app: FastAPI = create_memory_app(keeper)
    with TestClient(app) as client:
        yield client, keeper
