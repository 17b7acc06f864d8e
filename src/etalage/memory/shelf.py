"""What was searched last? Indices of users that were asked for, under a limit of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any

import orjson

from etalage.memory.database import Person, first, last
from etalage.memory.facts import Fact
from etalage.memory.index import Index
from etalage.memory.sealing import Cipher

MOST_FACTS = 64
"""Of one memory; their ids are `number * MOST_FACTS` and up."""


class Shelf:
    """Indices by user, the one used longest ago taken off first."""

    def __init__(self, new: Callable[[], Index], cipher: Cipher, most_bytes: int) -> None:
        self._new, self._cipher, self._most = new, cipher, most_bytes
        self._indices: OrderedDict[int, tuple[Index, int]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._indices)

    def index(self, run: Any, person: Person) -> Index:
        """What is searched of a user, as of the view that `run` has.

        After writing, what is new is added; after forgetting, all is read again. A view that is
        older than what is kept reads for itself alone.
        """
        with self._lock:
            index, n_bytes = self._indices.pop(person.no, (self._new(), 0))
            self._held -= n_bytes
        if index.version > person.version:
            index = self._new()
        with index.lock:
            if index.version < max(person.rewritten, 1):
                index.clear()
            if index.version < person.version:
                self._load(run, person, index)
        with self._lock:
            n_bytes = index.n_bytes
            replaced = self._indices.pop(person.no, (index, 0))
            self._indices[person.no] = index, n_bytes
            self._held += n_bytes - replaced[1]
            while self._held > self._most and len(self._indices) > 1:
                self._held -= self._indices.popitem(last=False)[1][1]
        return index

    def drop(self, no: int) -> None:
        """Takes a user's off."""
        with self._lock:
            self._held -= self._indices.pop(no, (None, 0))[1]

    def drop_all(self) -> None:
        """Takes all off."""
        with self._lock:
            self._indices.clear()
            self._held = 0

    def _load(self, run: Any, person: Person, index: Index) -> None:
        """Adds what was written since; the index is locked."""
        base = first(person.no)
        rows = run(
            "SELECT id, kind, source, said_at, recorded_at, until, words, vector, encoder "
            "FROM memory WHERE id BETWEEN ? AND ? ORDER BY id",
            (base + index.last + 1, last(person.no)),
        ).fetchall()
        opened = self._cipher.open
        facts = facts_of(run, person, self._cipher, index.last)
        index.append(
            [(row[0] - base, *row[1:7], opened(person.salt, row[7]), row[8]) for row in rows],
            facts,
        )
        index.version, index.last = person.version, person.last


def facts_of(
    run: Any,
    person: Person,
    cipher: Cipher,
    after: int = 0,
    upto: int | None = None,
    predicates: Collection[str] | None = None,
) -> list[Fact]:
    """Facts of a user's memories with numbers greater than `after`, and at most `upto` where it is
    given, in the order they were written; of all predicates by default."""
    base, end = first(person.no), person.last if upto is None else upto
    rows = run(
        "SELECT id, said, origin FROM fact WHERE id BETWEEN ? AND ? ORDER BY id",
        (base + (after + 1) * MOST_FACTS, min(base + (end + 1) * MOST_FACTS - 1, last(person.no))),
    ).fetchall()
    found = []
    for row, said, origin in rows:
        parts = orjson.loads(cipher.open(person.salt, said))
        if predicates is not None and parts["predicate"] not in predicates:
            continue
        parts["span"] = tuple(parts["span"])
        number = (row - base) // MOST_FACTS
        found.append(Fact(**parts, origin=origin, memory=number))
    return found
