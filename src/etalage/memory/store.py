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
from contextlib import contextmanager
from os import PathLike, urandom
from pathlib import Path
from typing import Any, Self

from etalage.errors import DataError, ErasedError
from etalage.language.encoder import Encoder
from etalage.language.ngrams import NgramEncoder
from etalage.memory.database import Database, Person
from etalage.memory.facts import check_name
from etalage.memory.grammar import facts_in
from etalage.memory.index import Index, hashed_words, searched
from etalage.memory.rows import Rows
from etalage.memory.sealing import Cipher, Unsealed
from etalage.memory.shelf import Shelf
from etalage.memory.statement import Statement
from etalage.memory.user import UserMemory


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
        try:
            with self.database.writing() as run:
                self.key = self._checked_key(run, key)
                run("INSERT OR IGNORE INTO encoder(fingerprint) VALUES (?)", (self._fingerprint,))
                rows = run("SELECT no FROM encoder WHERE fingerprint = ?", (self._fingerprint,))
                self._encoder_no: int = rows.fetchall()[0][0]
        except BaseException:
            self.database.close()
            raise
        self.shelf = Shelf(self._new_index, int(cache_mb * 2**20))

    def _new_index(self) -> Index:
        return Index(self.encoder.width, self._encoder_no)

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
        check_name(name)
        return UserMemory(self, name)

    def write_many(
        self, statements: Iterable[tuple[str, Statement]], *, exported_at: int | None = None
    ) -> list[int]:
        """Writes what several users said, all of it or nothing; returns the memories' numbers.

        Args:
            statements: each with its user.
            exported_at: when they were exported (ms UTC), where they were.

        Raises:
            DataError: where one was said more than a day ahead of the clock.
            ErasedError: where a user was erased after they were exported.
            CapacityError: where the disk is full or cannot be written.
        """
        pairs = [(self.user(name).name, statement) for name, statement in statements]
        vectors = self.encoder.encode([statement.text for _, statement in pairs])
        places: dict[str, list[int]] = defaultdict(list)
        for place, (name, _) in enumerate(pairs):
            places[name].append(place)
        facts = [statement.facts or facts_in(statement) for _, statement in pairs]
        numbers = [0] * len(pairs)
        for name, mine in places.items():
            self._find_echoes(name, [(place, pairs[place][1]) for place in mine], numbers)
        with self.database.writing() as run:
            for name, every in places.items():
                if exported_at is not None:  # here, where no erasure can come between any more
                    self._check_erased(run, name, exported_at)
                rows = self.rows(run, name) or self._new_rows(run, name)
                mine = [place for place in every if not numbers[place]]
                found = rows.write([(pairs[at][1], facts[at], vectors[at]) for at in mine])
                for place, number in zip(mine, found, strict=True):
                    numbers[place] = number
        return numbers

    def _check_erased(self, run: Any, name: str, exported_at: int) -> None:
        erased = run("SELECT at FROM erased WHERE name = ?", (self.hashed(name),)).fetchall()
        if erased and exported_at <= erased[0][0]:
            raise ErasedError("this user was erased after the export was made; nothing is loaded")

    def _find_echoes(
        self, name: str, given: Sequence[tuple[int, Statement]], numbers: list[int]
    ) -> None:
        """Puts the memory that an assistant only repeats into its place of the numbers: what was
        recalled and said again would otherwise grow without end."""
        said = [(place, each) for place, each in given if each.source == "assistant"]
        if not said:
            return
        with self.view(name) as rows:
            if rows is None:
                return
            with self.shelf.index(rows) as index:
                for place, statement in said:
                    words = hashed_words(searched(statement.text), rows.person.salt)
                    numbers[place] = index.echoed(words)

    @contextmanager
    def view(self, name: str) -> Iterator[Rows | None]:
        """The rows of a user as they are, whatever is written meanwhile; None where nothing was
        ever written or all was erased."""
        with self.database.reading() as run:
            yield self.rows(run, name)

    @contextmanager
    def change(self, name: str) -> Iterator[Rows | None]:
        """The rows of a user, to be changed: all that is done is kept, or nothing."""
        with self.database.writing() as run:
            yield self.rows(run, name)

    def rows(self, run: Any, name: str) -> Rows | None:
        """The rows of a user within a transaction or a view."""
        return next(self._some_rows(run, "WHERE name = ?", (self.hashed(name),)), None)

    def rows_of(self, run: Any, no: int) -> Rows | None:
        """The same, by the user's number in the file."""
        return next(self._some_rows(run, "WHERE no = ?", (no,)), None)

    def all_rows(self, run: Any) -> Iterator[Rows]:
        """The rows of everybody, one user after the other."""
        return self._some_rows(run, "ORDER BY no", ())

    def _some_rows(self, run: Any, which: str, given: tuple[object, ...]) -> Iterator[Rows]:
        columns = "no, salt, last, last_at, version, rewritten"
        for row in run(f"SELECT {columns} FROM user {which}", given).fetchall():
            person = Person(*row)
            trail_key = hmac.digest(self.key, b"trail " + person.salt, "sha256")
            yield Rows(run, person, self.cipher, self._encoder_no, trail_key, self.clock())

    def _new_rows(self, run: Any, name: str) -> Rows:
        run("INSERT INTO user(name, salt, last, last_at, version, rewritten) "
            "VALUES (?, ?, 0, 0, 0, 0)", (self.hashed(name), urandom(32)))  # fmt: skip
        rows = self.rows(run, name)
        assert rows is not None
        return rows

    def hashed(self, name: str) -> bytes:
        """Returns what stands in the file for a user."""
        return hmac.digest(self.key, b"user " + name.encode(), "sha256")

    def scrub(self) -> bool:
        """Cuts the log to nothing; says whether that was possible."""
        return self.database.scrub()

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
