"""The thread that writes: groups are kept whole, and one that cannot be written harms no other."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from etalage.errors import DataError
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore, now_ms
from etalage.memory.writer import Writer

LATE = Statement("late", said_at=now_ms() + 9 * 86_400_000)


def test_a_group_is_written_all_or_none_and_others_go_on(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store, Writer(store) as writer:
        with store.database.outside():  # so that all of them meet in one batch
            first = writer.write("ann", Statement("one"))
            bad = writer.write_many("ann", [Statement("two"), LATE])
            good = writer.write_many("ben", [Statement("three"), Statement("four")])
            alone = writer.write("ann", LATE)
            nothing = writer.write_many("ann", [])
            last = writer.write("ann", Statement("five"))
        assert (first.result(20), good.result(20), last.result(20)) == (1, [1, 2], 2)
        assert nothing.result(20) == []
        for future in (bad, alone):
            with pytest.raises(DataError, match="days ahead"):
                future.result(20)
        assert [memory.text for memory in store.user("ann").memories()] == ["one", "five"]
        assert [memory.text for memory in store.user("ben").memories()] == ["three", "four"]


def test_nothing_is_written_after_everything_before_it(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store, Writer(store) as writer:
        for n in range(700):
            writer.write("ann", Statement(f"statement {n}"))
        writer.write_many("ann", []).result(30)
        assert store.user("ann").count() == 700


def test_a_future_that_was_given_up_is_no_failure(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store, Writer(store) as writer:
        with store.database.outside():
            blocker = writer.write("ben", Statement("first"))
            dropped: Future[list[int]] = writer.write_many("ann", [Statement("dropped")])
            was_dropped = dropped.cancel()
            kept = writer.write("ann", Statement("kept"))
        assert blocker.result(20) == 1
        assert kept.result(20) == (1 if was_dropped else 2)
