"""How does a memory lie in the file? Its rows, written, read and taken away in one place."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from etalage.errors import DataError
from etalage.memory.database import OF_A_USER, Person, first, last
from etalage.memory.facts import Fact
from etalage.memory.index import Row, hashed_words, searched
from etalage.memory.sealing import Cipher
from etalage.memory.statement import DAY_MS, KINDS, MOST_FACTS, SOURCES, Memory, Statement
from etalage.memory.trail import Trail

LAST = 2**32 - 1
"""The greatest number that a memory can have."""


class Rows:
    """The rows of one user, as of a transaction or a view.

    Args:
        run: runs a statement in it.
        person: whose rows.
        cipher: seals what is kept.
        encoder: number of the encoder whose vectors are written.
        trail_key: key of the seals of the user's trail.
        now: milliseconds UTC.
    """

    def __init__(
        self, run: Any, person: Person, cipher: Cipher, encoder: int, trail_key: bytes, now: int
    ) -> None:
        self._run, self.person, self._cipher, self._encoder = run, person, cipher, encoder
        self._base = first(person.no)
        self.trail = Trail(run, person.no, trail_key)
        self.now = max(now, person.last_at)
        """Never before what was written last: a clock set back does not reorder what was said."""

    def number_of(self, key: str) -> int | None:
        """The number of the memory that was written with a key."""
        found = self._run("SELECT id FROM memory WHERE key = ?", (self._hashed(key),)).fetchall()
        return found[0][0] - self._base if found else None

    def _hashed(self, key: str) -> bytes:
        return hmac.digest(self.person.salt, key.encode(), "sha256")[:16]

    def _seal(self, plain: bytes) -> bytes:
        return self._cipher.seal(self.person.salt, plain)

    def _opened(self, sealed: bytes) -> bytes:
        return self._cipher.open(self.person.salt, sealed)

    def write(
        self, given: Sequence[tuple[Statement, Sequence[Fact], NDArray[np.float32]]]
    ) -> list[int]:
        """Adds memories, with their facts and vectors; returns their numbers, the old ones of those
        that were written with their keys before.

        Raises:
            DataError: where one was said more than a day ahead of the clock.
        """
        numbers: list[int] = []
        written: list[int] = []
        for statement, facts, vector in given:
            number = None if statement.key is None else self.number_of(statement.key)
            if number is None:
                number = self.person.last + len(written) + 1
                self._add(number, statement, facts, vector)
                written.append(number)
            numbers.append(number)
        self.trail.add(self.now, "wrote", written, "")
        self._run(
            "UPDATE user SET last = ?, last_at = ?, version = version + 1 WHERE no = ?",
            (self.person.last + len(written), self.now, self.person.no),
        )
        return numbers

    def _add(
        self,
        number: int,
        statement: Statement,
        facts: Sequence[Fact],
        vector: NDArray[np.float32],
    ) -> None:
        said_at = self.now if statement.said_at is None else statement.said_at
        if said_at > self.now + DAY_MS:
            raise DataError(
                f"said_at lies {(said_at - self.now) / DAY_MS:.1f} days ahead of the clock; a fact "
                "that will be true later has valid_from"
            )
        self._run(
            "INSERT INTO memory VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._base + number,
                KINDS.index(statement.kind),
                SOURCES.index(statement.source),
                said_at,
                self.now,
                statement.until,
                None if statement.key is None else self._hashed(statement.key),
                self._words(statement.text, facts),
                self.sealed_vector(vector),
                self._encoder,
            ),
        )
        text = self._seal(statement.text.encode())
        meta = self._seal(orjson.dumps(statement.meta))
        self._run("INSERT INTO text VALUES (?, ?, ?)", (self._base + number, text, meta))
        self._add_facts(number, said_at, facts)

    def _words(self, text: str, facts: Sequence[Fact]) -> bytes:
        return hashed_words(searched(text, facts), self.person.salt).tobytes()

    def sealed_vector(self, vector: NDArray[np.float32]) -> bytes:
        """Returns what is kept of a vector."""
        return self._seal(vector.astype(np.float16).tobytes())

    def _add_facts(self, number: int, said_at: int, facts: Sequence[Fact]) -> None:
        if len(facts) > MOST_FACTS:
            raise DataError(f"a memory says at most {MOST_FACTS} facts; got {len(facts)}")
        # the ids of a memory's facts are `number * MOST_FACTS` and up
        for place, fact in enumerate(facts, self._base + number * MOST_FACTS):
            said = asdict(fact)
            del said["memory"], said["origin"]  # a part of the row's id, and a column
            if fact.valid_from is None:
                said["valid_from"] = said_at
            row = (place, self._seal(orjson.dumps(said)), fact.origin)
            self._run("INSERT INTO fact VALUES (?, ?, ?)", row)

    def reread(
        self, memory: Memory, facts: Sequence[Fact], vector: NDArray[np.float32] | None = None
    ) -> None:
        """Puts facts in the place of those that a memory has, the words that follow from them, and
        where it is given a vector."""
        self._drop_facts(memory.number)
        self._add_facts(memory.number, memory.said_at, facts)
        row = self._base + memory.number
        words = self._words(memory.text, facts)
        self._run("UPDATE memory SET words = ? WHERE id = ?", (words, row))
        if vector is not None:
            changed = (self.sealed_vector(vector), self._encoder, row)
            self._run("UPDATE memory SET vector = ?, encoder = ? WHERE id = ?", changed)
        self._mark_rewritten()

    def forget(self, numbers: Iterable[int], what: str, actor: str) -> tuple[int, int]:
        """Deletes memories with all that follows from them; returns how many, and of facts."""
        # a greater number would be a row of the next user
        wanted = sorted({n for n in map(int, numbers) if 1 <= n <= self.person.last})
        n_memories = n_facts = 0
        for number in wanted:
            for table in ("memory", "text"):
                self._run(f"DELETE FROM {table} WHERE id = ?", (self._base + number,))
            n_memories += self._changed()
            n_facts += self._drop_facts(number)
        self._mark_rewritten()
        self.trail.add(self.now, what, wanted, actor)
        return n_memories, n_facts

    def erase(self) -> tuple[int, int]:
        """Deletes everything, the user among it; returns how many memories, and of facts."""
        counts = {}
        for table in OF_A_USER:
            span = (self._base, last(self.person.no))
            self._run(f"DELETE FROM {table} WHERE id BETWEEN ? AND ?", span)
            counts[table] = self._changed()
        self._run("DELETE FROM user WHERE no = ?", (self.person.no,))
        return counts["memory"], counts["fact"]

    def _drop_facts(self, number: int) -> int:
        start = self._base + number * MOST_FACTS
        self._run("DELETE FROM fact WHERE id BETWEEN ? AND ?", (start, start + MOST_FACTS - 1))
        return self._changed()

    def _changed(self) -> int:
        return int(self._run("SELECT changes()").fetchall()[0][0])

    def _mark_rewritten(self) -> None:
        self._run(
            "UPDATE user SET version = version + 1, rewritten = version + 1 WHERE no = ?",
            (self.person.no,),
        )

    def indexed(self, after: int) -> list[Row]:
        """What is searched of memories with greater numbers, numbers rising."""
        found = self._run(
            "SELECT id, kind, source, said_at, recorded_at, until, words, vector, encoder "
            "FROM memory WHERE id BETWEEN ? AND ? ORDER BY id",
            (self._base + after + 1, last(self.person.no)),
        ).fetchall()
        return [(row[0] - self._base, *row[1:7], self._opened(row[7]), row[8]) for row in found]

    def facts(self, after: int = 0, predicates: Collection[str] | None = None) -> list[Fact]:
        """Facts of memories with numbers greater than `after`, in the order they were written; of
        all predicates by default. None is valid for longer than its memory is to be kept, so what
        has come to its end counts for nothing before it is deleted."""
        ends = {
            row - self._base: until
            for row, until in self._run(
                "SELECT id, until FROM memory WHERE id BETWEEN ? AND ? AND until IS NOT NULL",
                (self._base + after + 1, last(self.person.no)),
            ).fetchall()
        }
        facts = self._said(after, self.person.last, predicates)
        for place, fact in enumerate(facts if ends else ()):
            end = ends.get(fact.memory)
            if end is not None and (fact.valid_to is None or fact.valid_to > end):
                facts[place] = replace(fact, valid_to=end)
        return facts

    def _said(self, after: int, end: int, predicates: Collection[str] | None = None) -> list[Fact]:
        """Facts as they were written, of memories with numbers greater than `after` and at most
        `end`."""
        found = self._run(
            "SELECT id, said, origin FROM fact WHERE id BETWEEN ? AND ? ORDER BY id",
            (self._base + (after + 1) * MOST_FACTS, self._base + (end + 1) * MOST_FACTS - 1),
        ).fetchall()
        facts = []
        for row, said, origin in found:
            parts = orjson.loads(self._opened(said))
            if predicates is not None and parts["predicate"] not in predicates:
                continue
            parts["span"] = tuple(parts["span"])
            memory = (row - self._base) // MOST_FACTS
            facts.append(Fact(**parts, origin=origin, memory=memory))
        return facts

    def memories(self, low: int = 1, high: int = LAST) -> Iterator[Memory]:
        """Yields memories by their numbers, low and high among them."""
        low, high = max(low, 1), min(high, LAST)
        of: dict[int, list[Fact]] = defaultdict(list)
        for fact in self._said(low - 1, min(high, self.person.last)):
            of[fact.memory].append(fact)
        rows = self._run(
            "SELECT id, kind, source, said_at, recorded_at, until, text, meta "
            "FROM memory JOIN text USING (id) WHERE id BETWEEN ? AND ? ORDER BY id",
            (self._base + low, self._base + high),
        )
        for row in rows:
            yield Memory(
                number=row[0] - self._base,
                text=self._opened(row[6]).decode(),
                kind=KINDS[row[1]],
                source=SOURCES[row[2]],
                said_at=row[3],
                recorded_at=row[4],
                until=row[5],
                meta=orjson.loads(self._opened(row[7])),
                facts=tuple(of.get(row[0] - self._base, ())),
            )

    def some(self, low: int, high: int, n: int, order: Literal["ASC", "DESC"]) -> list[Memory]:
        """At most n memories from one end of a span of numbers, low and high among them; oldest
        first."""
        found = self._run(
            f"SELECT id FROM memory WHERE id BETWEEN ? AND ? ORDER BY id {order} LIMIT ?",
            (self._base + max(low, 1), self._base + max(min(high, LAST), 0), n),
        ).fetchall()
        if not found:
            return []
        ends = sorted((found[0][0] - self._base, found[-1][0] - self._base))
        return list(self.memories(*ends))

    def count(self) -> int:
        """How many memories there are."""
        query = "SELECT count(*) FROM memory WHERE id BETWEEN ? AND ?"
        return int(self._run(query, (self._base, last(self.person.no))).fetchall()[0][0])

    def text(self, number: int) -> str | None:
        """The text of a memory, None where there is none of that number."""
        query = "SELECT text FROM text WHERE id = ?"
        found = self._run(query, (self._base + number,)).fetchall()
        return self._opened(found[0][0]).decode() if found else None
