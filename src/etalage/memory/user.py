"""What may be done with one person's memories? Everything, and with nobody else's.

Memories have numbers of their own for each user, 1, 2, 3 and so on: there is no number by which
another user's could be named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from etalage.errors import DataError, ErasedError
from etalage.memory.database import OF_A_USER, Person, first, last
from etalage.memory.facts import Belief, Fact, beliefs
from etalage.memory.index import NEVER, hashed_words, searched
from etalage.memory.recall import Asked, Hit, best
from etalage.memory.shelf import facts_of
from etalage.memory.statement import KINDS, SOURCES, Kind, Memory, Source, Statement
from etalage.memory.trail import Act, Trail

if TYPE_CHECKING:
    from etalage.memory.store import MemoryStore


AT_ONCE = 256
"""Memories of an export that are read in one view of the file."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was forgotten."""

    n_memories: int
    n_facts: int
    is_scrubbed: bool
    """Whether its bytes are gone from the file and its log; False where another process was in the
    middle of reading: `store.scrub()` tries again, and so does every further act of forgetting."""


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
        with store.database.reading() as run:
            person = store.person(run, self.name)
            if person is None:
                return []
            now = max(store.clock(), person.last_at)
            asked = Asked(
                hashed_words(searched(question[:10_000]), person.salt),
                vector,
                k,
                now if as_of is None else as_of,
                NEVER if known_at is None else known_at,
                None if kinds is None else [KINDS.index(kind) for kind in kinds],
                None if sources is None else [SOURCES.index(source) for source in sources],
            )
            index = store.shelf.index(run, person)
            hits = [
                Hit(number, text, KINDS[kind], SOURCES[source], said_at, *scores)
                for number, kind, source, said_at, *scores in best(index, asked)
                if (text := self._text(run, person, number)) is not None
            ]
        if actor is not None:
            self._leave_trail("read", [hit.number for hit in hits], actor)
        return hits

    def _text(self, run: Any, person: Person, number: int) -> str | None:
        rows = run("SELECT text FROM text WHERE id = ?", (first(person.no) + number,)).fetchall()
        return self._store.cipher.open(person.salt, rows[0][0]).decode() if rows else None

    def _leave_trail(self, what: str, numbers: Sequence[int], actor: str) -> None:
        store = self._store
        with store.database.writing() as run:
            if (person := store.person(run, self.name)) is not None:
                trail = Trail(run, person.no, store.trail_key(person))
                trail.add(max(store.clock(), person.last_at), what, numbers or [0], actor)

    def now(self) -> int:
        """Milliseconds UTC, never before what was written last."""
        store = self._store
        with store.database.reading() as run:
            person = store.person(run, self.name)
            return store.clock() if person is None else max(store.clock(), person.last_at)

    def facts(self, predicates: Collection[str] | None = None) -> list[Fact]:
        """Returns what was ever said, oldest first, whether or not it still holds; of all
        predicates by default."""
        store = self._store
        with store.database.reading() as run:
            person = store.person(run, self.name)
            if person is None:
                return []
            return facts_of(run, person, store.cipher, predicates=predicates)

    def beliefs(self, as_of: int | None = None) -> list[Belief]:
        """Returns what holds at a time (ms UTC), now by default."""
        store = self._store
        with store.database.reading() as run:
            person = store.person(run, self.name)
            if person is None:
                return []
            now = max(store.clock(), person.last_at)
            return beliefs(facts_of(run, person, store.cipher), now if as_of is None else as_of)

    def get(self, number: int) -> Memory:
        """Returns a memory.

        Raises:
            DataError: where the user has none of that number.
        """
        with self._store.database.reading() as run:
            person = self._store.person(run, self.name)
            found = (
                [] if person is None else list(self._store.memories(run, person, number, number))
            )
        if not found:
            raise DataError(f"there is no memory {number} of this user")
        return found[0]

    def memories(self) -> Iterator[Memory]:
        """Yields all memories, oldest first, as they were when the first was asked for."""
        with self._store.database.reading() as run:
            if (person := self._store.person(run, self.name)) is not None:
                yield from self._store.memories(run, person)

    def newest(self, n: int, before: int | None = None) -> list[Memory]:
        """Returns at most n memories, newest first, of numbers below `before` where it is given."""
        return self._some(1, last(0) if before is None else before - 1, n, "DESC")[::-1]

    def _some(self, low: int, high: int, n: int, order: str) -> list[Memory]:
        """At most n memories from one end of a span of numbers, low and high among them; oldest
        first."""
        store = self._store
        with store.database.reading() as run:
            if (person := store.person(run, self.name)) is None:
                return []
            base = first(person.no)
            found = run(
                f"SELECT id FROM memory WHERE id BETWEEN ? AND ? ORDER BY id {order} LIMIT ?",
                (base + max(low, 1), base + max(min(high, last(0)), 0), n),
            ).fetchall()
            if not found:
                return []
            ends = sorted((found[0][0] - base, found[-1][0] - base))
            return list(store.memories(run, person, *ends))

    def count(self) -> int:
        """Returns how many memories there are."""
        with self._store.database.reading() as run:
            if (person := self._store.person(run, self.name)) is None:
                return 0
            query = "SELECT count(*) FROM memory WHERE id BETWEEN ? AND ?"
            return int(run(query, (first(person.no), last(person.no))).fetchall()[0][0])

    def forget(self, *numbers: int, actor: str = "") -> Receipt:
        """Forgets memories, with every fact that they said; their bytes are gone from the file.

        A number that is not there is passed over, so forgetting twice is no error.
        """
        store = self._store
        n_memories = n_facts = 0
        with store.database.writing() as run:
            person = store.person(run, self.name)
            if person is not None:
                # a greater number would be a row of the next user
                wanted = sorted({n for n in map(int, numbers) if 1 <= n <= person.last})
                n_memories, n_facts = store.forget_where(run, person, wanted)
                trail = Trail(run, person.no, store.trail_key(person))
                trail.add(max(store.clock(), person.last_at), "forgot", wanted, actor)
        return Receipt(n_memories, n_facts, store.scrub())

    def erase(self) -> Receipt:
        """Forgets the user: memories, trail and salt. Only a hash of the name stays, by which an
        import of what was exported before is refused."""
        store = self._store
        counts = {}
        with store.database.writing() as run:
            person = store.person(run, self.name)
            if person is not None:
                for table in OF_A_USER:
                    span = (first(person.no), last(person.no))
                    run(f"DELETE FROM {table} WHERE id BETWEEN ? AND ?", span)
                    counts[table] = store.database.changed()
                run("DELETE FROM user WHERE no = ?", (person.no,))
                at = max(store.clock(), person.last_at)
                row = (store.hashed(self.name), at)
                run("INSERT OR REPLACE INTO erased VALUES (?, ?)", row)
                store.shelf.drop(person.no)
        return Receipt(counts.get("memory", 0), counts.get("fact", 0), store.scrub())

    def learn(self, number: int, facts: Sequence[Fact]) -> int:
        """Adds facts that were found in a memory later; returns how many, 0 where the memory has
        been forgotten meanwhile."""
        store = self._store
        with store.database.writing() as run:
            person = store.person(run, self.name)
            found = list(store.memories(run, person, number, number)) if person and facts else []
            if person is None or not found:
                return 0
            store.reread(run, person, found[0], (*found[0].facts, *facts))
            at = max(store.clock(), person.last_at)
            Trail(run, person.no, store.trail_key(person)).add(at, "learned", [number], "")
        return len(facts)

    def export(self) -> Iterator[bytes]:
        """Yields everything that is kept of the user as JSON lines, a head first.

        No view of the file is held between lines, so a slow reader keeps nobody from forgetting:
        what is forgotten meanwhile and was not yet yielded is left out, and so is what is new.
        """
        head = {"etalage_memory": 1, "exported_at": self._store.clock()}
        yield orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE)
        with self._store.database.reading() as run:
            person = self._store.person(run, self.name)
        low, end = 1, 0 if person is None else person.last
        while part := self._some(low, end, AT_ONCE, "ASC"):
            for memory in part:
                yield orjson.dumps(memory.to_dict(), option=orjson.OPT_APPEND_NEWLINE)
            low = part[-1].number + 1

    def load(self, lines: Iterable[bytes]) -> int:
        """Remembers what was exported; returns how many. What is there already stays.

        Raises:
            DataError: where the lines are no export.
            ErasedError: where the user was erased after the export was made.
        """
        read = iter(lines)
        try:
            head = orjson.loads(next(read, b""))
            exported_at = head["exported_at"]
            statements = [_of_export(orjson.loads(line)) for line in read]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"these lines are no export of memories: {error}") from error
        with self._store.database.reading() as run:
            name = (self._store.hashed(self.name),)
            erased = run("SELECT at FROM erased WHERE name = ?", name).fetchall()
        if erased and exported_at <= erased[0][0]:
            raise ErasedError("this user was erased after the export was made; nothing is loaded")
        return len(self.write_many(statements))

    def trail(self) -> tuple[Sequence[Act], bool]:
        """Returns what was done with the memories, and whether the chain of seals is whole."""
        with self._store.database.reading() as run:
            if (person := self._store.person(run, self.name)) is None:
                return [], True
            return Trail(run, person.no, self._store.trail_key(person)).acts()


def _statement(given: str | Statement, parts: dict[str, Any]) -> Statement:
    return (
        dataclasses.replace(given, **parts)
        if isinstance(given, Statement)
        else Statement(given, **parts)
    )


def _of_export(said: dict[str, Any]) -> Statement:
    facts = tuple(Fact(**(fact | {"span": tuple(fact["span"])})) for fact in said.pop("facts"))
    number = said.pop("number")
    said.pop("recorded_at")
    return Statement(**said, facts=facts, key=f"export {number}")
