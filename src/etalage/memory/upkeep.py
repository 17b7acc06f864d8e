"""Is it whole, how large is it, and what is due? What is done to a whole store.

All of it may be done while others read and write.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from rich.progress import track

from etalage.errors import DataError
from etalage.memory.database import first, last
from etalage.memory.disk import make_private
from etalage.memory.facts import Fact
from etalage.memory.grammar import facts_in
from etalage.memory.rows import LAST
from etalage.memory.statement import Memory, Statement
from etalage.memory.store import MemoryStore
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
        for no, numbers in due.items():
            if (rows := store.rows_of(run, no)) is not None:
                counts = rows.forget(numbers, "expired", "")
                n_memories, n_facts = n_memories + counts[0], n_facts + counts[1]
                store.shelf.drop(no)
    return Receipt(n_memories, n_facts, store.scrub())


def stats(store: MemoryStore) -> dict[str, int]:
    """Returns how many users, memories and facts there are, and bytes of the file and its log."""
    with store.database.reading() as run:
        counts = {
            f"n_{name}": run(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for name, table in (("users", "user"), ("memories", "memory"), ("facts", "fact"))
        }
    files = (store.database.path, store.database.log)
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
        for rows in store.all_rows(run):
            no = rows.person.no
            kept = {row for (row,) in run(
                "SELECT id & 0xffffffff FROM memory WHERE id BETWEEN ? AND ?",
                (first(no), last(no)))}  # fmt: skip
            if {fact.memory for fact in rows.facts()} - kept:
                problems.append(f"facts of user {no} are of no memory")
            if not rows.trail.acts()[1]:
                problems.append(f"the trail of user {no} was changed")
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
        people = [no for (no,) in run("SELECT no FROM user ORDER BY no").fetchall()]
    n_read = 0
    for no in track(people, "users", disable=not progress):
        low = 1
        while numbers := _rebuilt(store, no, low):
            n_read, low = n_read + len(numbers), numbers[-1] + 1
        store.shelf.drop(no)
    return n_read


def _rebuilt(store: MemoryStore, no: int, low: int) -> list[int]:
    """Makes the next memories of a user again, in one transaction; returns their numbers."""
    with store.database.reading() as run:
        rows = store.rows_of(run, no)
        memories = [] if rows is None else rows.some(low, LAST, AT_ONCE, "ASC")
    if not memories:
        return []
    # not within the transaction: an encoder may take longer than others wait
    vectors = store.encoder.encode([memory.text for memory in memories])
    with store.database.writing() as run:
        if (rows := store.rows_of(run, no)) is None:
            return []  # erased meanwhile
        for memory, vector in zip(memories, vectors, strict=True):
            for now in rows.memories(memory.number, memory.number):  # none where it is forgotten
                rows.reread(now, _facts_again(now), vector)
    return [memory.number for memory in memories]


def _facts_again(memory: Memory) -> tuple[Fact, ...]:
    kept = tuple(fact for fact in memory.facts if fact.origin != "grammar")
    if any(fact.origin == "given" for fact in kept):
        return kept
    said = Statement(memory.text, memory.kind, memory.source, memory.said_at)
    return kept + facts_in(said)
