"""How is it all kept? A file of everybody's memories, and a handle for each of them.

    store = MemoryStore("memory.sqlite")
    ann = store.user("ann")
    ann.write("I moved to Lyon last week")
    ann.read("where do I live?")

When a call returns, what it did is on the disk; when it raises, nothing of it is.
"""

from __future__ import annotations

import hmac
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from os import PathLike, urandom
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson

from etalage.errors import DataError
from etalage.language.encoder import Encoder
from etalage.language.ngrams import NgramEncoder
from etalage.memory.database import Database, Person, first
from etalage.memory.facts import Fact
from etalage.memory.grammar import facts_in
from etalage.memory.index import Index, hashed_words, searched
from etalage.memory.sealing import Cipher, Unsealed
from etalage.memory.shelf import MOST_FACTS, Shelf, facts_of
from etalage.memory.statement import DAY_MS, KINDS, SOURCES, Memory, Statement
from etalage.memory.trail import Trail
from etalage.memory.user import UserMemory

LAST = 2**32 - 1
"""The greatest number that a memory can have."""


def now_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


class MemoryStore:
    """A file of memories.

    Args:
        path: of the file; made where there is none, in a folder that exists.
        encoder: turns texts into vectors; hashed n-grams by default, which need nothing.
        key: secret by which names are hashed and acts are sealed; by default one that lies in the
            file, which proves nothing to somebody who can write the file.
        cipher: seals what is kept; nothing is sealed by default.
        clock: milliseconds UTC.
        cache_mb: of memory for what was searched last.

    Raises:
        DataError: where the file is no memory, damaged, or of another key.
        CapacityError: where it cannot be written.
        MissingExtraError: when SQLite's binding is not installed.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        encoder: Encoder | None = None,
        *,
        key: bytes | None = None,
        cipher: Cipher | None = None,
        clock: Callable[[], int] = now_ms,
        cache_mb: float = 128.0,
    ) -> None:
        self.database = Database(Path(path))
        self.encoder = encoder or NgramEncoder()
        self.cipher = cipher or Unsealed()
        self.clock = clock
        with self.database.writing() as run:
            self.key = self._checked_key(run, key)
            run("INSERT OR IGNORE INTO encoder(fingerprint) VALUES (?)", (self._fingerprint,))
            rows = run("SELECT no FROM encoder WHERE fingerprint = ?", (self._fingerprint,))
            self.encoder_no: int = rows.fetchall()[0][0]
        self.shelf = Shelf(self._new_index, self.cipher, int(cache_mb * 2**20))

    def _new_index(self) -> Index:
        return Index(self.encoder.width, self.encoder_no)

    @property
    def _fingerprint(self) -> str:
        return f"{self.encoder.fingerprint} {self.encoder.width}"

    def _checked_key(self, run: Any, key: bytes | None) -> bytes:
        """The key of the file, which is not kept in it where one was given."""
        kept = dict(run("SELECT name, value FROM meta").fetchall())
        if not kept:
            kept = {"proof": b"", "key": b""}
            chosen = key or urandom(32)
            kept["proof"] = hmac.digest(chosen, b"etalage memory", "sha256")
            kept["key"] = b"" if key else chosen
            for row in kept.items():
                run("INSERT INTO meta VALUES (?, ?)", row)
        found = key or kept["key"]
        if not found:
            raise DataError(f"{self.database.path} was made with a key; give the same one")
        if hmac.digest(found, b"etalage memory", "sha256") != kept["proof"]:
            raise DataError(f"the key is not the one that {self.database.path} was made with")
        return bytes(found)

    def user(self, name: str) -> UserMemory:
        """Returns the handle of a user, who need not be known yet; it reaches nobody else.

        Raises:
            DataError: for a name that is no text, or has no character.
        """
        if not isinstance(name, str) or not name.strip() or len(name) > 500:
            raise DataError(f"a user is named by a text of 1 to 500 characters; got {name!r:.80}")
        return UserMemory(self, name)

    def write_many(self, statements: Iterable[tuple[str, Statement]]) -> list[int]:
        """Writes what several users said, all of it or nothing; returns the memories' numbers.

        Raises:
            DataError: where one was said more than a day ahead of the clock.
            CapacityError: where the disk is full or cannot be written.
        """
        pairs = [(self.user(name).name, statement) for name, statement in statements]
        vectors = self.encoder.encode([statement.text for _, statement in pairs])
        places: dict[str, list[int]] = defaultdict(list)
        for place, (name, _) in enumerate(pairs):
            places[name].append(place)
        numbers = [self._echoed(name, statement) for name, statement in pairs]
        with self.database.writing() as run:
            for name, every in places.items():
                mine = [place for place in every if not numbers[place]]
                given = [(pairs[place][1], vectors[place]) for place in mine]
                for place, number in zip(mine, self._write(run, name, given), strict=True):
                    numbers[place] = number
        return numbers

    def _echoed(self, name: str, statement: Statement) -> int:
        """The memory that an assistant only repeats, 0 where it says something of its own: what
        was recalled and said again would otherwise grow without end."""
        if statement.source != "assistant":
            return 0
        with self.database.reading() as run:
            if (person := self.person(run, name)) is None:
                return 0
            index = self.shelf.index(run, person)
            with index.lock:
                return index.echoed(hashed_words(searched(statement.text), person.salt))

    def _write(
        self, run: Any, name: str, given: Sequence[tuple[Statement, np.ndarray]]
    ) -> list[int]:
        person = self.person(run, name) or self._new_person(run, name)
        base, number, numbers, written = first(person.no), person.last, [], []
        at = max(self.clock(), person.last_at)  # a clock set back does not reorder what was said
        for statement, vector in given:
            if (said_at := statement.said_at) is None:
                said_at = at
            if said_at > at + DAY_MS:
                raise DataError(
                    f"said_at lies {(said_at - at) / DAY_MS:.1f} days ahead of the clock; a fact "
                    "that will be true later has valid_from"
                )
            key = self._key_of(person, statement.key)
            if key and (found := run("SELECT id FROM memory WHERE key = ?", (key,)).fetchall()):
                numbers.append(found[0][0] - base)
                continue
            number += 1
            facts = statement.facts or facts_in(statement)
            words = hashed_words(searched(statement.text, facts), person.salt)
            run(
                "INSERT INTO memory VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (base + number, KINDS.index(statement.kind), SOURCES.index(statement.source),
                 said_at, at, statement.until, key, words.tobytes(),
                 self.sealed_vector(person, vector), self.encoder_no),
            )  # fmt: skip
            text = self.cipher.seal(person.salt, statement.text.encode())
            meta = self.cipher.seal(person.salt, orjson.dumps(statement.meta))
            run("INSERT INTO text VALUES (?, ?, ?)", (base + number, text, meta))
            self._add_facts(run, person, number, said_at, facts)
            numbers.append(number)
            written.append(number)
        Trail(run, person.no, self.trail_key(person)).add(at, "wrote", written, "")
        run(
            "UPDATE user SET last = ?, last_at = ?, version = version + 1 WHERE no = ?",
            (number, at, person.no),
        )
        return numbers

    def sealed_vector(self, person: Person, vector: np.ndarray) -> bytes:
        """Returns what is kept of a vector."""
        return self.cipher.seal(person.salt, vector.astype(np.float16).tobytes())

    def _key_of(self, person: Person, key: str | None) -> bytes | None:
        return None if key is None else hmac.digest(person.salt, key.encode(), "sha256")[:16]

    def _add_facts(
        self, run: Any, person: Person, number: int, said_at: int, facts: Sequence[Fact]
    ) -> None:
        if len(facts) > MOST_FACTS:
            raise DataError(f"a memory says at most {MOST_FACTS} facts; got {len(facts)}")
        start = first(person.no) + number * MOST_FACTS
        for place, fact in enumerate(facts):
            said = asdict(fact)
            del said["memory"], said["origin"]  # a column, and a part of the row's id
            if fact.valid_from is None:
                said["valid_from"] = said_at
            sealed = self.cipher.seal(person.salt, orjson.dumps(said))
            run(
                "INSERT INTO fact VALUES (?, ?, ?)",
                (start + place, sealed, fact.origin),
            )

    def _drop_facts(self, run: Any, person: Person, number: int) -> int:
        start = first(person.no) + number * MOST_FACTS
        run("DELETE FROM fact WHERE id BETWEEN ? AND ?", (start, start + MOST_FACTS - 1))
        return self.database.changed()

    def reread(self, run: Any, person: Person, memory: Memory, facts: Sequence[Fact]) -> None:
        """Puts facts in the place of those that a memory has, and the words that follow."""
        self._drop_facts(run, person, memory.number)
        self._add_facts(run, person, memory.number, memory.said_at, facts)
        words = hashed_words(searched(memory.text, facts), person.salt).tobytes()
        row = first(person.no) + memory.number
        run("UPDATE memory SET words = ? WHERE id = ?", (words, row))
        self._mark_rewritten(run, person)

    def _mark_rewritten(self, run: Any, person: Person) -> None:
        run(
            "UPDATE user SET version = version + 1, rewritten = version + 1 WHERE no = ?",
            (person.no,),
        )

    def person(self, run: Any, name: str) -> Person | None:
        """The row of a user, None where nothing was ever written or all was erased."""
        columns = "no, salt, last, last_at, version, rewritten"
        rows = run(f"SELECT {columns} FROM user WHERE name = ?", (self.hashed(name),)).fetchall()
        return Person(*rows[0]) if rows else None

    def _new_person(self, run: Any, name: str) -> Person:
        row = (self.hashed(name), urandom(32))
        run("INSERT INTO user(name, salt, last, last_at, version, rewritten) "
            "VALUES (?, ?, 0, 0, 0, 0)", row)  # fmt: skip
        found = self.person(run, name)
        assert found is not None
        return found

    def hashed(self, name: str) -> bytes:
        """Returns what stands in the file for a user."""
        return hmac.digest(self.key, b"user " + name.encode("utf-8", "replace"), "sha256")

    def trail_key(self, person: Person) -> bytes:
        return hmac.digest(self.key, b"trail " + person.salt, "sha256")

    def memories(
        self, run: Any, person: Person, low: int = 1, high: int = LAST
    ) -> Iterator[Memory]:
        """Yields memories of a user by their numbers, low and high among them."""
        base, opened = first(person.no), self.cipher.open
        of: dict[int, list[Fact]] = defaultdict(list)
        for fact in facts_of(run, person, self.cipher, max(low, 1) - 1, min(high, person.last)):
            of[fact.memory].append(fact)
        rows = run(
            "SELECT id, kind, source, said_at, recorded_at, until, text, meta "
            "FROM memory JOIN text USING (id) WHERE id BETWEEN ? AND ? ORDER BY id",
            (base + max(low, 1), base + min(high, LAST)),
        )
        for row in rows:
            yield Memory(
                number=row[0] - base,
                text=opened(person.salt, row[6]).decode(),
                kind=KINDS[row[1]],
                source=SOURCES[row[2]],
                said_at=row[3],
                recorded_at=row[4],
                until=row[5],
                meta=orjson.loads(opened(person.salt, row[7])),
                facts=tuple(of.get(row[0] - base, ())),
            )

    def forget_where(self, run: Any, person: Person, numbers: Sequence[int]) -> tuple[int, int]:
        """Deletes memories with everything that follows from them; returns how many, and facts."""
        base, n_memories, n_facts = first(person.no), 0, 0
        for number in numbers:
            for table in ("memory", "text"):
                run(f"DELETE FROM {table} WHERE id = ?", (base + number,))
            n_memories += self.database.changed()
            n_facts += self._drop_facts(run, person, number)
        self._mark_rewritten(run, person)
        return n_memories, n_facts

    def scrub(self) -> bool:
        """Cuts the log to nothing; says whether that was possible."""
        return self.database.scrub()

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
