"""Processes that write to one file: none slips between two steps of another's scrubbing."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from etalage.memory import database
from etalage.memory.database import PAGE_SIZE
from etalage.memory.scrubbing import gap
from etalage.memory.store import MemoryStore
from etalage.memory.turns import Turns


def texts(rng: random.Random, n: int) -> list[str]:
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=24)) for _ in range(n)]
    return [f"I like {word}" + " red blue" * rng.choice([1, 20, 90]) for word in words]


def unclear(path: Path) -> list[int]:
    """Pages of a file with something between their rows."""
    content, found = path.read_bytes(), []
    for start in range(0, len(content), PAGE_SIZE):
        page = content[start : start + PAGE_SIZE]
        low, high = gap(page, start == 0)
        if page.count(0, low, high) < high - low:
            found.append(start // PAGE_SIZE + 1)
    return found


def filled(store: MemoryStore, rng: random.Random) -> None:
    """Bob's rows lie before those of others, so what he writes later parts pages."""
    store.user("bob").write_many(texts(rng, 40))
    for at in range(20):
        store.user(f"user {at % 3}").write_many(texts(rng, 3))


STEPS = {"_checkpoint": ["FULL", "TRUNCATE"], "_value": ["PRAGMA data_version"]}


@pytest.mark.parametrize(
    ("step", "argument", "before"),
    [(step, what, before) for step, every in STEPS.items() for what in every
     for before in (True, False)],
)  # fmt: skip
def test_what_another_writes_between_two_steps_is_cleared_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, argument: str, before: bool
) -> None:
    rng, path = random.Random(f"{step} {argument} {before}"), tmp_path / "m.sqlite"
    with MemoryStore(path) as store, MemoryStore(path) as other:
        filled(store, rng)
        writing = threading.Thread(target=lambda: other.user("bob").write_many(texts(rng, 12)))
        original: Callable[[str], object] = getattr(store.database, step)

        def interrupted(given: str) -> object:
            first = given == argument and writing.ident is None
            done = None if before and first else original(given)
            if first:
                writing.start()
                writing.join(0.3)
            return original(given) if before and first else done

        monkeypatch.setattr(store.database, step, interrupted)
        assert store.scrub()
        writing.join()
        assert other.user("bob").count() == 52
        assert store.scrub()
        assert unclear(path) == []


def test_who_is_killed_between_two_steps_leaves_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*given: object) -> None:
        raise Killed

    rng, path = random.Random(1), tmp_path / "m.sqlite"
    with MemoryStore(path) as store, MemoryStore(path) as other:
        filled(store, rng)
        other.user("bob").write_many(texts(rng, 12))
        with monkeypatch.context() as patched:
            patched.setattr(store.database._pages, "clear_gaps", killed)
            with pytest.raises(Killed):
                store.scrub()
        assert unclear(path) != [], "else there is nothing to be done by the next"
        for at in range(60):  # these take the place of what the log told of the pages
            other.user("cleo").write(f"I like number {at}")
        assert other.scrub()
        assert unclear(path) == []


def test_a_turn_is_had_by_one_and_waited_for(tmp_path: Path) -> None:
    one, other = Turns(tmp_path / "lock"), Turns(tmp_path / "lock")
    with one.mine(0) as first:
        assert first
        with other.mine(0.02) as second:
            assert not second
        one.mark(is_unfinished=True)
    with other.mine(0) as second:
        assert second
        assert other.is_unfinished
        other.mark(is_unfinished=False)
    assert not one.is_unfinished
    one.close()
    other.close()


def test_whose_turn_does_not_come_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etalage.errors import CapacityError

    path = tmp_path / "m.sqlite"
    with MemoryStore(path) as store, MemoryStore(path) as other:
        monkeypatch.setattr(database, "WAIT_MS", 20)
        store.database.scrub_seconds = 0.05
        number = store.user("ann").write("I like jazz")
        with other.database.writing():
            with pytest.raises(CapacityError, match="another process") as raised:
                store.user("ann").write("more")
            assert isinstance(raised.value.__cause__, apsw.BusyError)
            assert not store.scrub()
        assert store.user("ann").forget(number).is_scrubbed


@pytest.mark.parametrize("at", range(5))
def test_two_processes_that_make_a_file_at_once_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The other makes it before any statement of the first."""
    path, original = tmp_path / "m.sqlite", database.Database._connect
    statements: list[str] = []

    class Interrupted:
        def __init__(self, connection: apsw.Connection) -> None:
            self._connection = connection

        def execute(self, *given: Any) -> Any:
            statements.append(given[0])
            if len(statements) == at + 1:
                monkeypatch.undo()
                MemoryStore(path).close()
            return self._connection.execute(*given)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

    monkeypatch.setattr(database.Database, "_connect", lambda self: Interrupted(original(self)))
    with MemoryStore(path) as store:
        assert store.user("ann").write("I like jazz") == 1
        assert len(statements) > at


def test_what_is_closed_touches_no_file_that_has_its_handle_now(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "m.sqlite")
    store.close()
    others = [(tmp_path / f"other {at}").open("wb") for at in range(8)]
    for act in (store.scrub, lambda: store.user("ann").write("I like jazz")):
        with pytest.raises(ValueError, match="is closed"):
            act()
    for other in others:
        other.close()
    assert {file.stat().st_size for file in tmp_path.glob("other *")} == {0}


def test_a_link_and_a_way_from_elsewhere_are_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite keeps the log beside the file that a link leads to."""
    real, links = tmp_path / "real", tmp_path / "links"
    real.mkdir()
    links.mkdir()
    (links / "m.sqlite").symlink_to(real / "m.sqlite")
    monkeypatch.chdir(links)
    rng = random.Random(2)
    with MemoryStore("m.sqlite") as store:
        monkeypatch.chdir(tmp_path)
        filled(store, rng)
        store.user("bob").write_many(texts(rng, 12))
        assert store.scrub()
        assert unclear(real / "m.sqlite") == []
        assert store.user("bob").count() == 52
    assert [path.name for path in links.iterdir()] == ["m.sqlite"]
