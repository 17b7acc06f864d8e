"""One user's handle: no number reaches further, and pages and exports have everything once."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import backup, verify


@pytest.mark.parametrize("number", [2**32 + 1, 2**33 + 1, -(2**32) + 1, 0, -1, 2**63, 2**70])
def test_no_number_forgets_anothers_memory(tmp_path: Path, number: int) -> None:
    """Ids of users lie 2^32 apart: ann's number 2^32 + 1 would be ben's number 1."""
    with MemoryStore(tmp_path / "memory.sqlite") as store:
        for name in ("ann", "ben", "eve"):
            store.user(name).write(f"I am {name} and I like tea")
        for name in ("ann", "ben", "eve"):
            assert store.user(name).forget(number).n_memories == 0
        for name in ("ann", "ben", "eve"):
            assert [memory.number for memory in store.user(name).memories()] == [1]
            assert len(store.user(name).beliefs()) == 1
            assert store.user(name).newest(5, number) == (
                store.user(name).newest(5) if number > 1 else []
            )
        assert verify(store) == []


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, 12),
    gone=st.sets(st.integers(1, 12)),
    size=st.integers(1, 5),
    at_once=st.integers(1, 5),
)
def test_pages_and_exports_are_all_there_is(
    tmp_path_factory: pytest.TempPathFactory, n: int, gone: set[int], size: int, at_once: int
) -> None:
    with (
        MemoryStore(tmp_path_factory.mktemp("m") / "memory.sqlite") as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("etalage.memory.user.AT_ONCE", at_once)
        ann, ben = store.user("ann"), store.user("ben")
        for at in range(n):
            ann.write(f"I like thing{at + 1}")
            ben.write("noise")
        ann.forget(*gone)
        left = [number for number in range(1, n + 1) if number not in gone]
        assert [memory.number for memory in ann.memories()] == left
        assert ann.count() == len(left)
        lines = [orjson.loads(line) for line in ann.export()]
        assert [line["number"] for line in lines[1:]] == left
        seen, before = [], None
        while page := ann.newest(size, before):
            assert len(page) <= size
            assert all(m.facts[0].object == f"thing{m.number}" for m in page)
            assert all(m.facts[0].memory == m.number for m in page)
            seen += [memory.number for memory in page]
            before = seen[-1]
        assert seen == left[::-1]


def test_one_forgets_on_the_way_through(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store:
        store.database.scrub_seconds = 0.05
        ann = store.user("ann")
        ann.write_many(f"thing {n}" for n in range(10))
        receipts = [ann.forget(m.number) for m in ann.memories() if m.number % 2]
        assert [receipt.is_scrubbed for receipt in receipts] == [True] * 5
        assert [memory.number for memory in ann.memories()] == [2, 4, 6, 8, 10]


def test_an_export_is_of_one_life(tmp_path: Path) -> None:
    """Who begins again after an erasure has the same numbers again."""
    with MemoryStore(tmp_path / "memory.sqlite") as store:
        ann = store.user("ann")
        ann.write_many(f"old {n}" for n in range(600))
        lines = ann.export()
        first = [next(lines) for _ in range(3)]
        ann.erase()
        ann.write_many(f"new {n}" for n in range(600))
        assert not any(b'"new ' in line for line in [*first, *lines])


def test_an_export_holds_no_view_while_it_waits(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store:
        ann = store.user("ann")
        ann.write_many(Statement(f"needle{n} in a stack") for n in range(600))
        lines = ann.export()
        first = [next(lines) for _ in range(3)]
        assert ann.forget(600).is_scrubbed
        assert not any(b"needle599 " in file.read_bytes() for file in tmp_path.iterdir())
        ann.erase()
        rest = list(lines)
        assert len(first) + len(rest) < 601, "what was erased is not yielded any more"


def test_nobody_else_on_the_machine_can_read_the_file(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store:
        store.user("ann").write("I like tea")
        store.user("ann").read("tea")
        backup(store, tmp_path / "copy.sqlite")
        files = sorted(tmp_path.iterdir())
        assert {"copy.sqlite", "memory.sqlite", "memory.sqlite-wal"} <= {f.name for f in files}
        assert {file.stat().st_mode & 0o077 for file in files} == {0}
    with MemoryStore(tmp_path / "copy.sqlite") as copy:
        assert [memory.text for memory in copy.user("ann").memories()] == ["I like tea"]
