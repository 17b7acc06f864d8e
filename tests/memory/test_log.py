"""The file under load: the log of a store that is only written to stays short, writing it back is
rare, and nobody who reads waits for who writes."""

import threading
from itertools import pairwise
from pathlib import Path

import pytest

from etalage.memory import database
from etalage.memory.database import Database
from etalage.memory.store import MemoryStore


def test_a_long_log_is_written_back_once_and_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MOST_LOGGED", 500_000)
    written_back, lengths = [], []
    original = Database._written_back

    def counting(self: Database) -> bool:
        written_back.append(1)
        return original(self)

    monkeypatch.setattr(Database, "_written_back", counting)
    path = tmp_path / "memory.sqlite"
    with MemoryStore(path) as store:
        for n in range(150):
            store.user("ann").write(f"I like thing {n}")
            lengths.append(path.with_name("memory.sqlite-wal").stat().st_size)
        n_grown = sum(b > a for a, b in pairwise(lengths))
        assert n_grown > 100, "else the log is not what was meant to be long"
        assert max(lengths) < 1_000_000
        assert 2 <= len(written_back) <= 20, "far from every write pays for it"
        assert store.user("ann").count() == 150


def test_reading_does_not_wait_for_a_write_that_takes_long(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store:
        store.user("ann").write("I like tea")
        store.user("ann").read("tea")
        found: list[str] = []

        def read() -> None:
            found.extend(hit.text for hit in store.user("ann").read("tea"))
            found.extend(belief.object for belief in store.user("ann").beliefs())

        with store.database.writing() as run:
            run("UPDATE user SET last_at = last_at")
            reader = threading.Thread(target=read)
            reader.start()
            reader.join(20)
            assert found == ["I like tea", "tea"]
