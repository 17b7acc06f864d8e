"""What may be done with one person's memories? Everything, and with nobody else's.

Memories have numbers of their own for each user, 1, 2, 3 and so on: there is no number by which
another user's could be named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etalage.errors import DataError
from etalage.memory.exporting import exported, exported_head, imported
from etalage.memory.facts import Belief, Fact, beliefs
from etalage.memory.index import NEVER, hashed_words, searched
from etalage.memory.recall import Asked, Hit, best
from etalage.memory.rows import LAST
from etalage.memory.statement import KINDS, SOURCES, Kind, Memory, Source, Statement
from etalage.memory.trail import Act

if TYPE_CHECKING:
    from etalage.memory.store import MemoryStore


AT_ONCE = 256
"""Memories that are read in one view of the file."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was forgotten."""

    n_memories: int
    n_facts: int
    is_scrubbed: bool
    """Whether its bytes are gone from the file and its log; False where another process was in the
    middle of reading, or the disk failed: `store.scrub()` tries again, and so does every further
    act of forgetting."""


class UserMemory:
    """The handle of one user."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store, self.name = store, name

    def write(self, statement: str | Statement, **parts: Any) -> int:
        """Remembers a text, or a statement; returns its number. It is on the disk then.

        Raises:
            DataError: where it cannot be remembered, with the reason.
            CapacityError: where the disk is full or cannot be written.
        """
        return self.write_many([_statement(statement, parts)])[0]

    def write_many(self, statements: Iterable[str | Statement]) -> list[int]:
        """Remembers several, all or none; returns their numbers."""
        given = [(self.name, _statement(statement, {})) for statement in statements]
        return self._store.write_many(given)

    def read(
        self,
        question: str,
        k: int = 10,
        *,
        as_of: int | None = None,
        known_at: int | None = None,
        kinds: Collection[Kind] | None = None,
        sources: Collection[Source] | None = None,
        actor: str | None = None,
    ) -> list[Hit]:
        """Returns at most k memories that answer a question, best first; none where none is near.

        Args:
            question: in any words.
            k: at most so many.
            as_of: what held at this time (ms UTC); now by default. What has been replaced by then,
                as an old address, is left out.
            known_at: and had been written by this time; by default everything.
            kinds: of memories; all by default.
            sources: of memories; all by default.
            actor: who reads and what for, which goes into the trail; by default no trail is left.

        Raises:
            DataError: for an empty question or k < 1.
        """
        if not isinstance(question, str) or not question.strip():
            raise DataError("the question is empty; ask in words")
        if k < 1:
            raise DataError(f"k must be at least 1; got {k}")
        store = self._store
        vector = store.encoder.encode([question[:10_000]])[0]
        with store.view(self.name) as rows:
            if rows is None:
                return []
            asked = Asked(
                hashed_words(searched(question[:10_000]), rows.person.salt),
                vector,
                k,
                rows.now if as_of is None else as_of,
                NEVER if known_at is None else known_at,
                None if kinds is None else [KINDS.index(kind) for kind in kinds],
                None if sources is None else [SOURCES.index(source) for source in sources],
            )
            with store.shelf.index(rows) as index:
                found = best(index, asked)
            hits = [
                Hit(number, text, KINDS[kind], SOURCES[source], said_at, *scores)
                for number, kind, source, said_at, *scores in found
                if (text := rows.text(number)) is not None
            ]
        if actor is not None:
            with store.change(self.name) as rows:
                if rows is not None:
                    rows.trail.add(rows.now, "read", [hit.number for hit in hits] or [0], actor)
        return hits

    def facts(self, predicates: Collection[str] | None = None) -> tuple[list[Fact], int]:
        """Returns what was ever said, oldest first, whether or not it still holds, of all
        predicates by default; and the time, ms UTC, never before what was written last."""
        with self._store.view(self.name) as rows:
            if rows is None:
                return [], self._store.clock()
            return rows.facts(predicates=predicates), rows.now

    def beliefs(self, as_of: int | None = None) -> list[Belief]:
        """Returns what holds at a time (ms UTC), now by default."""
        with self._store.view(self.name) as rows:
            if rows is None:
                return []
            return beliefs(rows.facts(), rows.now if as_of is None else as_of)

    def get(self, number: int) -> Memory:
        """Returns a memory.

        Raises:
            DataError: where the user has none of that number.
        """
        with self._store.view(self.name) as rows:
            found = [] if rows is None else list(rows.memories(number, number))
        if not found:
            raise DataError(f"there is no memory {number} of this user")
        return found[0]

    def memories(self) -> Iterator[Memory]:
        """Yields all memories that there are when the first is asked for, oldest first.

        No view of the file is held between them, so whoever is slow, or forgets some on the way,
        keeps nobody from forgetting: what is forgotten meanwhile is left out.
        """
        with self._store.view(self.name) as rows:
            whose, low, end = (0, 1, 0) if rows is None else (rows.person.no, 1, rows.person.last)
        while low <= end:
            with self._store.view(self.name) as rows:
                # after an erasure, the same numbers are of what is new
                is_same = rows is not None and rows.person.no == whose
                part = rows.some(low, end, AT_ONCE, "ASC") if rows is not None and is_same else []
            yield from part
            low = part[-1].number + 1 if part else end + 1

    def newest(self, n: int, before: int | None = None) -> list[Memory]:
        """Returns at most n memories, newest first, of numbers below `before` where it is given."""
        high = LAST if before is None else before - 1
        with self._store.view(self.name) as rows:
            return [] if rows is None else rows.some(1, high, n, "DESC")[::-1]

    def count(self) -> int:
        """Returns how many memories there are."""
        with self._store.view(self.name) as rows:
            return 0 if rows is None else rows.count()

    def forget(self, *numbers: int, actor: str = "") -> Receipt:
        """Forgets memories, with every fact that they said; their bytes are gone from the file.

        A number that is not there is passed over, so forgetting twice is no error.
        """
        with self._store.change(self.name) as rows:
            counts = (0, 0) if rows is None else rows.forget(numbers, "forgot", actor)
            if rows is not None:
                self._store.shelf.drop(rows.person.no)  # what is kept in memory, too
        return Receipt(*counts, self._store.scrub())

    def erase(self) -> Receipt:
        """Forgets the user: memories, trail and salt. Only a hash of the name stays, by which an
        import of what was exported before is refused."""
        store, counts, at = self._store, (0, 0), self._store.clock()
        with store.database.writing() as run:
            if (rows := store.rows(run, self.name)) is not None:
                counts, at = rows.erase(), rows.now
                store.shelf.drop(rows.person.no)
            # also of who is not known: an export may lie elsewhere
            run("INSERT INTO erased VALUES (?, ?) "
                "ON CONFLICT(name) DO UPDATE SET at = max(at, excluded.at)",
                (store.hashed(self.name), at))  # fmt: skip
        return Receipt(*counts, store.scrub())

    def learn(self, memory: Memory, facts: Sequence[Fact]) -> int:
        """Adds facts that were found in a memory later; returns how many, 0 where the memory has
        been forgotten meanwhile."""
        number = memory.number
        with self._store.change(self.name) as rows:
            found = list(rows.memories(number, number)) if rows is not None and facts else []
            # after an erasure numbers begin again, and this one may be of something else
            if rows is None or not found or not _is_same(found[0], memory):
                return 0
            rows.reread(found[0], (*found[0].facts, *facts))
            rows.trail.add(rows.now, "learned", [number], "")
        return len(facts)

    def export(self) -> Iterator[bytes]:
        """Yields everything that is kept of the user as JSON lines, a head first.

        What is forgotten meanwhile and was not yet yielded is left out, and so is what is new.
        """
        yield exported_head(self._store.clock())
        yield from map(exported, self.memories())

    def load(self, lines: Iterable[bytes]) -> int:
        """Remembers what was exported; returns how many. What is there already stays.

        Raises:
            DataError: where the lines are no export.
            ErasedError: where the user was erased after the export was made.
        """
        exported_at, statements = imported(lines)
        given = [(self.name, statement) for statement in statements]
        return len(self._store.write_many(given, exported_at=exported_at))

    def trail(self) -> tuple[Sequence[Act], bool]:
        """Returns what was done with the memories, and whether the chain of seals is whole."""
        with self._store.view(self.name) as rows:
            return ([], True) if rows is None else rows.trail.acts()


def _is_same(one: Memory, other: Memory) -> bool:
    return (one.text, one.recorded_at) == (other.text, other.recorded_at)


def _statement(given: str | Statement, parts: dict[str, Any]) -> Statement:
    if isinstance(given, Statement):
        return dataclasses.replace(given, **parts)
    return Statement(given, **parts)
