"""Where does it lie? One SQLite file with a write-ahead log, rows of a user beside each other.

A row's id is `user << 32 | number`, so everything of a user is one range of every table, and no
statement on a table of memories is without that range. Deleted content is overwritten
(`secure_delete`), copies of it that lie between rows are too (`scrubbing.py`), and it is gone from
the log once that has been written back and cut to nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from etalage.errors import DataError, naming_extras
from etalage.memory.disk import WAIT_MS, make_private, telling
from etalage.memory.scrubbing import PageFile, logged_pages
from etalage.memory.turns import Turns

with naming_extras():
    import apsw

VERSION = 1
"""Of the tables; a file of a later one is not touched."""
APPLICATION = 0x45744D6D
"""Stands in the file's head, so that no other database is taken for a memory."""
TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE scrubbed(times INTEGER NOT NULL) STRICT;
INSERT INTO scrubbed VALUES (0);
CREATE TABLE user(
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    name BLOB NOT NULL UNIQUE,     -- HMAC of the external id: the file does not tell who is in it
    salt BLOB NOT NULL,
    last INTEGER NOT NULL,         -- the newest number given to a memory; none is given twice
    last_at INTEGER NOT NULL,      -- when it was recorded: a clock set back does not reorder
    version INTEGER NOT NULL,      -- grows with every change
    rewritten INTEGER NOT NULL     -- the version at which something was last taken away
) STRICT;
CREATE TABLE erased(name BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE TABLE memory(
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, source INTEGER NOT NULL,
    said_at INTEGER NOT NULL, recorded_at INTEGER NOT NULL, until INTEGER, key BLOB,
    words BLOB NOT NULL, vector BLOB NOT NULL, encoder INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX memory_key ON memory(key) WHERE key IS NOT NULL;
CREATE INDEX memory_until ON memory(until) WHERE until IS NOT NULL;
CREATE TABLE text(id INTEGER PRIMARY KEY, text BLOB NOT NULL, meta BLOB NOT NULL) STRICT;
CREATE TABLE fact(id INTEGER PRIMARY KEY, said BLOB NOT NULL, origin TEXT NOT NULL) STRICT;
CREATE TABLE audit(
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, what TEXT NOT NULL, memory INTEGER NOT NULL,
    actor TEXT NOT NULL, mac BLOB NOT NULL
) STRICT;
CREATE TABLE encoder(no INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE) STRICT;
"""
OF_A_USER = ("memory", "text", "fact", "audit")
"""Tables whose ids begin with the user."""
AT_ONCE_MS = 20
"""How long writing the log back waits for readers before it is tried again, or put off."""


PAGE_SIZE = 8192
MOST_LOGGED = 8 * 2**20
"""Bytes of the log from which on it is written back."""
SCRUB_SECONDS = 10.0
"""How long forgetting waits for readers of what is forgotten."""


def first(user: int) -> int:
    """The id before every row of a user."""
    return user << 32


def last(user: int) -> int:
    """The greatest id that a row of a user can have."""
    return (user << 32) | 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Person:
    """A row of the table of users."""

    no: int
    salt: bytes
    last: int
    last_at: int
    version: int
    rewritten: int


class Database:
    """The file; one connection writes, others read beside it."""

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise DataError(f"there is no folder {path.parent}; make it, or name another file")
        # of a link, SQLite keeps the log beside the file itself; and a process may go elsewhere
        self.path = path = path.resolve()
        self.scrub_seconds = SCRUB_SECONDS
        self._lock = threading.RLock()
        self._idle: list[Any] = []
        self._lending = threading.Lock()  # another than for writing, which readers do not wait for
        self._n_lent = 0
        self._open = True
        make_private(path)
        with telling(path), ExitStack() as undo:
            self._writer = self._connect()
            undo.callback(self._writer.close)
            self._turns = Turns(path.with_name(f"{path.name}-lock"))
            undo.callback(self._turns.close)
            self._prepare()
            self._pages = PageFile(path)
            undo.pop_all()

    def _connect(self) -> Any:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(WAIT_MS)
        # the log is written back by `scrub` alone, which knows what else is to be done then
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for pragma in (
            *("secure_delete=ON", "synchronous=FULL", "temp_store=MEMORY"),
            "wal_autocheckpoint=0",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def _prepare(self) -> None:
        run = self._writer.execute
        # first: another process may make it between the two, and then it is one of ours
        is_empty = not run("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        application = run("PRAGMA application_id").fetchall()[0][0]
        found = run("PRAGMA user_version").fetchall()[0][0]
        if application == 0 and is_empty:
            run(f"PRAGMA page_size={PAGE_SIZE}").fetchall()
            run("PRAGMA journal_mode=WAL").fetchall()
            with self.writing() as write:  # another process may make it at the same time
                if not write("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
                    write(TABLES)
                    write(f"PRAGMA application_id={APPLICATION}").fetchall()
                    write(f"PRAGMA user_version={VERSION}").fetchall()
            return
        if application != APPLICATION:
            raise DataError(f"{self.path} is a database, but no memory; name another file")
        run("PRAGMA journal_mode=WAL").fetchall()  # a backup comes without
        if found > VERSION:
            raise DataError(
                f"{self.path} has version {found}, this library reads up to {VERSION}; "
                "install a newer etalage"
            )

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """One transaction: all of it is kept, or nothing; yields what runs a statement.

        Raises:
            CapacityError: where the disk is full or may not be written; nothing was kept.
        """
        with self._lock, telling(self.path), self._turn(WAIT_MS) as came:
            if not came:
                raise apsw.BusyError("it is another's turn")
            run = self._writer.execute
            run("BEGIN IMMEDIATE")
            try:
                yield run
                run("COMMIT")
            except BaseException:
                with suppress(apsw.Error):  # a full disk may have ended it already
                    run("ROLLBACK")
                raise
            # what was asked for is done: an error here must not say that it is not
            with suppress(apsw.Error, OSError):
                if self.log.stat().st_size > MOST_LOGGED and self._written_back():
                    self._checkpoint("TRUNCATE")  # else the next write finds it as long

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """One view of the file, whatever is written meanwhile; yields what runs a statement."""
        with telling(self.path):
            with self._lending:
                connection = self._idle.pop() if self._idle else None
                self._n_lent += 1
            try:
                connection = connection or self._connect()
                connection.execute("BEGIN")
                yield connection.execute
            finally:
                self._given_back(connection)

    def _turn(self, milliseconds: int) -> AbstractContextManager[bool]:
        if not self._open:  # its handles may be those of other files by now
            raise ValueError(f"the memory {self.path} is closed")
        return self._turns.mine(milliseconds / 1000)

    def _given_back(self, connection: Any | None) -> None:
        if connection is not None:
            with suppress(apsw.Error):
                connection.execute("ROLLBACK")
        with self._lending:
            self._n_lent -= 1
            if connection is not None and self._open:
                self._idle.append(connection)
            elif connection is not None:
                connection.close()
            if not self._open and not self._n_lent:
                self._pages.close()

    @contextmanager
    def outside(self) -> Iterator[Any]:
        """Beside all transactions, while nobody of this process writes."""
        with self._lock, telling(self.path):
            yield lambda *given: self._writer.execute(*given).fetchall()

    def scrub(self) -> bool:
        """Writes the log back, clears what lies between rows, and cuts the log to nothing; says
        whether that was possible in time. Readers in the middle of a view hold it up, and a disk
        that fails or is full prevents it.
        """
        deadline = monotonic() + self.scrub_seconds
        while True:
            with self._lock:
                try:
                    with self._turn(AT_ONCE_MS) as came:
                        if came and self._written_back() and not self._checkpoint("TRUNCATE")[0]:
                            return True
                except (apsw.BusyError, apsw.LockedError):
                    pass
                except (apsw.Error, OSError):
                    return False  # what was forgotten before is: an error would say that it is not
            if monotonic() > deadline:
                return False
            sleep(0.005)

    def _written_back(self) -> bool:
        """Writes the whole log into the file and clears the gaps of its pages, unless a reader is
        in the way. Whoever asks for it has the turn."""
        was_unfinished = self._turns.is_unfinished
        # first: of what somebody without our turns writes after this, the pages are not known
        version = self._value("PRAGMA data_version")
        pages = None if was_unfinished else logged_pages(self.log, PAGE_SIZE)
        self._turns.mark(is_unfinished=True)
        busy, logged, copied = self._checkpoint("FULL")
        if busy or logged != copied:
            self._turns.mark(is_unfinished=was_unfinished)  # the log is still the whole log
            return False
        run = self._writer.execute
        run("BEGIN IMMEDIATE")
        try:
            # while this transaction is open, nobody has anything to write into the file
            if self._value("PRAGMA data_version") != version:
                return False
            self._pages.clear_gaps(pages, PAGE_SIZE)
            # a change, so that other processes drop pages that they read before
            run("UPDATE scrubbed SET times = times + 1")
            run("COMMIT")
        finally:
            if self._writer.in_transaction:
                run("ROLLBACK")
        self._turns.mark(is_unfinished=False)
        run("PRAGMA shrink_memory").fetchall()  # and so does this connection
        return True

    def _checkpoint(self, mode: str) -> tuple[int, int, int]:
        """Whether somebody was in the way, frames of the log, and how many were written back."""
        self._writer.set_busy_timeout(AT_ONCE_MS)
        try:
            row = self._writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()[0]
        finally:
            self._writer.set_busy_timeout(WAIT_MS)
        return row[0], row[1], row[2]

    def _value(self, query: str) -> int:
        return int(self._writer.execute(query).fetchall()[0][0])

    @property
    def log(self) -> Path:
        """The write-ahead log."""
        return self.path.with_name(f"{self.path.name}-wal")

    def close(self) -> None:
        """Writes the log back, where nobody is in the way, and ends."""
        with self._lock:
            if not self._open:
                return
            with suppress(apsw.Error, OSError), self._turn(AT_ONCE_MS) as came:
                if came and self._written_back():
                    self._checkpoint("TRUNCATE")
            with self._lending:
                self._open = False
                while self._idle:
                    self._idle.pop().close()
                self._writer.close()
                if not self._n_lent:  # else with the last reader's view
                    self._pages.close()
            self._turns.close()
