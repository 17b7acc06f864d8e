"""Is it whole, how large is it, and what is due? What is done to a whole store.

All of it may be done while others read and write.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.progress import track

from etalage.errors import DataError
from etalage.memory.database import Person, first, last, make_private
from etalage.memory.facts import Fact
from etalage.memory.grammar import facts_in
from etalage.memory.shelf import facts_of
from etalage.memory.statement import Memory, Statement
from etalage.memory.store import MemoryStore
from etalage.memory.trail import Trail
from etalage.memory.user import Receipt

AT_ONCE = 512
"""Memories that are read again in one transaction."""


def expire(store: MemoryStore) -> Receipt:
    """Forgets everything whose time has come."""
    n_memories = n_facts = 0
    with store.database.writing() as run:
        at = store.clock()
        due: dict[int, list[int]] = defaultdict(list)
        for (row,) in run("SELECT id FROM memory WHERE until <= ?", (at,)).fetchall():
            due[row >> 32].append(row & 0xFFFFFFFF)
        for person in _people(run):
            if person.no not in due:
                continue
            counts = store.forget_where(run, person, due[person.no])
            n_memories, n_facts = n_memories + counts[0], n_facts + counts[1]
            trail = Trail(run, person.no, store.trail_key(person))
            trail.add(max(at, person.last_at), "expired", due[person.no], "")
    return Receipt(n_memories, n_facts, store.scrub())


def stats(store: MemoryStore) -> dict[str, int]:
    """Returns how many users, memories and facts there are, and bytes of the file and its log."""
    with store.database.reading() as run:
        counts = {
            f"n_{name}": run(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for name, table in (("users", "user"), ("memories", "memory"), ("facts", "fact"))
        }
    path = store.database.path
    files = (path, path.with_name(path.name + "-wal"))
    return counts | {"n_bytes": sum(file.stat().st_size for file in files if file.exists())}


def verify(store: MemoryStore) -> list[str]:
    """Returns what is wrong; nothing where the file is whole, every memory has its text, every fact
    its memory, and no act of a trail was changed."""
    problems = []
    with store.database.reading() as run:
        found = [row[0] for row in run("PRAGMA integrity_check").fetchall()]
        problems += [f"the file: {line}" for line in found if line != "ok"]
        for one, other in (("memory", "text"), ("text", "memory")):
            query = f"SELECT count(*) FROM {one} WHERE id NOT IN (SELECT id FROM {other})"
            if n := run(query).fetchall()[0][0]:
                problems.append(f"{n} rows of {one} have none of {other}")
        for person in _people(run):
            kept = {row for (row,) in run(
                "SELECT id & 0xffffffff FROM memory WHERE id BETWEEN ? AND ?",
                (first(person.no), last(person.no)))}  # fmt: skip
            if {fact.memory for fact in facts_of(run, person, store.cipher)} - kept:
                problems.append(f"facts of user {person.no} are of no memory")
            if not Trail(run, person.no, store.trail_key(person)).acts()[1]:
                problems.append(f"the trail of user {person.no} was changed")
    return problems


def backup(store: MemoryStore, path: Path) -> None:
    """Writes a copy, without room for what was forgotten.

    Raises:
        DataError: where something lies at the path already.
    """
    if path.exists():
        raise DataError(f"{path} is there already; name another file")
    make_private(path)
    with store.database.outside() as run:
        run("VACUUM INTO ?", (str(path),))


def rebuild(store: MemoryStore, *, progress: bool = False) -> int:
    """Makes words, vectors and the facts of the grammar again, from what was said; returns how
    many memories were read.

    Needed after another encoder was chosen: vectors of two are never compared. Facts that were
    given, or found by a model, stay.
    """
    with store.database.reading() as run:
        people = list(_people(run))
    n_read = 0
    for person in track(people, "memories", disable=not progress):
        low = 1
        while True:
            with store.database.writing() as run:
                rows = _rebuilt(store, run, person, low)
            if not rows:
                break
            n_read, low = n_read + len(rows), rows[-1] + 1
        store.shelf.drop(person.no)
    return n_read


def _rebuilt(store: MemoryStore, run: Any, person: Person, low: int) -> list[int]:
    """Makes the next memories of a user again; returns their numbers."""
    memories: list[Memory] = []
    for memory in store.memories(run, person, low):
        memories.append(memory)
        if len(memories) == AT_ONCE:
            break
    vectors = store.encoder.encode([memory.text for memory in memories])
    for memory, vector in zip(memories, vectors, strict=True):
        run(
            "UPDATE memory SET vector = ?, encoder = ? WHERE id = ?",
            (
                store.sealed_vector(person, vector),
                store.encoder_no,
                first(person.no) + memory.number,
            ),
        )
        store.reread(run, person, memory, _facts_again(memory))
    return [memory.number for memory in memories]


def _facts_again(memory: Memory) -> tuple[Fact, ...]:
    kept = tuple(fact for fact in memory.facts if fact.origin != "grammar")
    if any(fact.origin == "given" for fact in kept):
        return kept
    said = Statement(memory.text, memory.kind, memory.source, memory.said_at)
    return kept + facts_in(said)


def _people(run: Any) -> list[Person]:
    columns = "no, salt, last, last_at, version, rewritten"
    return [Person(*row) for row in run(f"SELECT {columns} FROM user ORDER BY no").fetchall()]
