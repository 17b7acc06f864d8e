"""The writer in the background acknowledges what is on the disk, and one bad statement harms no
other."""

from __future__ import annotations

import threading

import pytest
from tests.memory.conftest import DAY, START

from etalage.errors import DataError
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import stats
from etalage.memory.writer import Writer


def test_what_is_acknowledged_is_there(store: MemoryStore) -> None:
    with Writer(store) as writer:
        futures = [writer.write(f"user {at % 3}", Statement(f"number {at}")) for at in range(300)]
        numbers = [future.result(timeout=10) for future in futures]
    assert numbers == [at // 3 + 1 for at in range(300)]
    for at in range(3):
        texts = [memory.text for memory in store.user(f"user {at}").memories()]
        assert texts == [f"number {number}" for number in range(at, 300, 3)]


def test_many_share_a_commit(store: MemoryStore) -> None:
    commits = 0
    real = store.write_many

    def counted(statements: list[tuple[str, Statement]]) -> list[int]:
        nonlocal commits
        commits += 1
        begun.wait()
        return real(statements)

    begun = threading.Event()
    store.write_many = counted  # type: ignore[method-assign, assignment]
    with Writer(store) as writer:
        futures = [writer.write("ann", Statement(f"number {at}")) for at in range(200)]
        begun.set()
        assert [future.result(timeout=10) for future in futures] == list(range(1, 201))
    assert commits <= 3


def test_a_statement_that_cannot_be_written_keeps_no_other_out(store: MemoryStore) -> None:
    far = Statement("much later", said_at=START + 9 * DAY)
    with Writer(store) as writer:
        futures = [writer.write("ann", said) for said in (Statement("a b"), far, Statement("c d"))]
        assert futures[0].result(timeout=10) == 1
        with pytest.raises(DataError, match="ahead of the clock"):
            futures[1].result(timeout=10)
        assert futures[2].result(timeout=10) == 2


def test_closing_writes_what_waits_and_then_refuses(store: MemoryStore) -> None:
    writer = Writer(store)
    futures = [writer.write("ann", Statement(f"number {at}")) for at in range(50)]
    writer.close()
    writer.close()
    assert all(future.done() for future in futures)
    assert stats(store)["n_memories"] == 50
    with pytest.raises(ValueError, match="closed"):
        writer.write("ann", Statement("too late"))


def test_a_wrong_name_is_said_at_once(store: MemoryStore) -> None:
    with Writer(store) as writer, pytest.raises(DataError, match="a user is named"):
        writer.write("", Statement("text"))
