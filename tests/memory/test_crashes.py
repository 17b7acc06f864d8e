"""What was acknowledged survives `kill -9`, full and read-only disks, and other processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from etalage.errors import CapacityError
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import verify

SCRIPT = Path(__file__).with_name("crashing.py")


def started(path: Path, seed: int, how: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SCRIPT), str(path), str(seed), how]
    said = path.with_name(f"said {seed}")
    process = subprocess.Popen(command, stdout=said.open("wb"))
    while not said.read_bytes():
        assert process.poll() is None
        time.sleep(0.01)
    return process


def told(path: Path, seed: int) -> str:
    """The lines of a process, without one that it was in the middle of."""
    said = path.with_name(f"said {seed}").read_text()
    return said[: said.rindex("\n")]


def killed(path: Path, seed: int, how: str, seconds: float) -> int:
    """Kills a writer at a random moment; checks the file; returns how many were acknowledged."""
    process = started(path, seed, how)
    if seed % 2:  # on a machine that is busy, nothing may have been acknowledged yet
        while "kept\t" not in told(path, seed):
            time.sleep(0.01)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lines = [line.split("\t") for line in told(path, seed).split("\n") if "\t" in line]
    begun = {(line[1], int(line[2])) for line in lines if line[0] == "begun"}
    kept = {(line[1], int(line[2])): line[3] for line in lines if line[0] == "kept"}
    gone = {(line[1], int(line[2])): line[3] for line in lines if line[0] == "gone"}
    with MemoryStore(path) as store:
        assert verify(store) == []
        names = {user for user, _ in kept}
        found = {(user, memory.number): memory.text
                 for user in names for memory in store.user(user).memories()}  # fmt: skip
        for key, text in kept.items():
            if key not in begun:
                assert found[key] == text
        assert not gone.keys() & found.keys()
        for user in names:
            numbers = [number for name, number in found if name == user]
            assert len(store.user(user).read("I like a number", k=10**6)) == len(numbers)
        store.scrub()
    content = path.read_bytes()
    assert not [text for text in gone.values() if text.encode() in content]
    return len(kept)


@pytest.mark.parametrize("how", ["single", "batch", "writer", "forget"])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, how: str) -> None:
    rng, n_kept = random.Random(how), 0
    for seed in range(3):
        n_kept += killed(tmp_path / "m.sqlite", seed, how, rng.uniform(0.05, 0.4))
    assert n_kept > 0


def test_two_processes_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    one, other = started(path, 1, "single"), started(path, 2, "forget")
    with MemoryStore(path) as store:
        for at in range(20):
            store.user("user 0").write(f"between {at}")
            store.user("user 0").read("between", k=100)
    time.sleep(0.5)
    kept = 20
    for seed, process in ((1, one), (2, other)):
        process.terminate()
        process.wait()
        kept += told(path, seed).count("kept\t") - told(path, seed).count("gone\t")
    with MemoryStore(path) as store:
        assert verify(store) == []
        texts = [memory.text for at in range(5) for memory in store.user(f"user {at}").memories()]
        assert abs(len(texts) - kept) <= 2  # one act of each may have been under way
        assert sum(text.startswith("between") for text in texts) == 20


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount a small disk")
def test_a_small_disk_runs_full_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "none", str(folder)],
                          capture_output=True)  # fmt: skip
    if done.returncode:
        pytest.skip("this machine mounts no disks")
    try:
        with MemoryStore(folder / "m.sqlite") as store:
            ann, kept = store.user("ann"), []
            with pytest.raises(CapacityError, match=r"full|failed"):  # noqa: PT012
                for at in range(10_000):
                    ann.write(f"number {at} " + "text " * 4000)
                    kept.append(f"number {at} " + "text " * 4000)
            assert len(kept) > 50
            assert [memory.text for memory in ann.memories()] == kept
            assert len(ann.read("number", k=10**6)) == len(kept)
            assert verify(store) == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        with MemoryStore(folder / "m.sqlite") as store:
            assert [memory.text for memory in store.user("ann").memories()] == kept
            assert store.user("ann").forget(*range(1, 40)).n_memories == 39
            assert store.user("ann").write("there is room again") == len(kept) + 1
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount a disk")
def test_a_disk_that_becomes_read_only_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine mounts no disks")
    try:
        with MemoryStore(folder / "m.sqlite") as store:
            store.user("ann").write("I like jazz")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(CapacityError, match=r"cannot be written|failed"):
            MemoryStore(folder / "m.sqlite").user("ann").write("more")
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        with MemoryStore(folder / "m.sqlite") as store:
            assert [memory.text for memory in store.user("ann").memories()] == ["I like jazz"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_an_error_in_the_middle_leaves_nothing(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception after each statement of a write: all tables are as they were."""
    ann = store.user("ann")
    ann.write("I like jazz")
    tables = ("user", "memory", "text", "fact", "audit")

    def content() -> list[object]:
        with store.database.reading() as run:
            return [run(f"SELECT * FROM {table}").fetchall() for table in tables]

    before, real = content(), store.database.writing
    for stop in range(1, 10):
        from contextlib import contextmanager

        @contextmanager
        def stopping(stop: int = stop):  # type: ignore[no-untyped-def]
            with real() as run:
                done = 0

                def some(*given: object) -> object:
                    nonlocal done
                    done += 1
                    if done > stop:
                        raise RuntimeError("stopped")
                    return run(*given)

                yield some

        monkeypatch.setattr(store.database, "writing", stopping)
        try:
            ann.write_many([Statement("I like opera"), Statement("I live in Lyon")])
        except RuntimeError:
            assert content() == before, stop
        else:
            raise AssertionError("the write was over before it was stopped")
    monkeypatch.undo()
    assert [hit.text for hit in ann.read("jazz opera")] == ["I like jazz"]
