"""The thread that writes: groups are kept whole, and one that cannot be written harms no other."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from etalage.errors import BusyError, CapacityError, DataError
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


def test_a_file_that_another_process_keeps_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def kept(given: list[object]) -> list[int]:
        tried.append(len(given))
        raise BusyError("another process has been writing")

    with MemoryStore(tmp_path / "memory.sqlite") as store, Writer(store) as writer:
        with store.database.outside():
            futures = [writer.write("ann", Statement(f"number {n}")) for n in range(50)]
            monkeypatch.setattr(store, "write_many", kept)
        for future in futures:
            with pytest.raises(CapacityError):
                future.result(20)
    assert len(tried) <= 2, "else fifty people wait fifty times as long"


def test_an_error_that_was_not_foreseen_is_of_its_statement_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store, Writer(store) as writer:
        encode = store.encoder.encode

        def failing(texts: list[str]) -> object:
            if "bad" in texts:
                raise RuntimeError("not foreseen")
            return encode(texts)

        monkeypatch.setattr(store.encoder, "encode", failing)
        with store.database.outside():
            said = ["one", "bad", "two", "three"]
            one, bad, *others = [writer.write("ann", Statement(text)) for text in said]
        with pytest.raises(RuntimeError):
            bad.result(20)
        assert [one.result(20), *(other.result(20) for other in others)] == [1, 2, 3]


def test_a_future_that_was_given_up_is_no_failure(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.sqlite") as store, Writer(store) as writer:
        with store.database.outside():
            blocker = writer.write("ben", Statement("first"))
            dropped: Future[list[int]] = writer.write_many("ann", [Statement("dropped")])
            was_dropped = dropped.cancel()
            kept = writer.write("ann", Statement("kept"))
        assert blocker.result(20) == 1
        assert kept.result(20) == (1 if was_dropped else 2)
