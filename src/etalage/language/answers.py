"""Was this asked before? Answers kept for good, by what they are answers to.

SQLite with a write-ahead log: an answer is kept as soon as it is there, whatever kills the process
next. None is ever changed: whoever asks otherwise has another key. The folder must be on a disk of
this machine, since the log does not work over a network.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import time

from etalage.artefact import append_line
from etalage.errors import CapacityError, DataError
from etalage.language.request import Failure, Result, Usage

TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER, completion_tokens INTEGER,
    asked TEXT NOT NULL, model TEXT NOT NULL, template TEXT NOT NULL,
    seconds REAL NOT NULL, at REAL NOT NULL, by_batch INTEGER NOT NULL
)
"""
RECENT, BREAK_S = 1000, 60.0
"""Answers whose arrival tells how fast the next will come; a longer gap is a break between runs."""


@dataclass(frozen=True)
class Kept:
    """An answer that is kept."""

    text: str
    finish_reason: str
    usage: Usage | None
    model: str
    """The model that answered, by its own account."""
    by_batch: bool
    """Whether it came in a batch file, which costs less."""


class Answers:
    """A folder of answers.

    Args:
        folder: where they are kept; made where it is not there.

    Raises:
        CapacityError: when the folder cannot be written.
        DataError: when what is there is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dead_letters = folder / "dead-letters.jsonl"
        """What had no answer, and why: one JSON object a line, of all runs."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CapacityError(f"cannot keep answers in {folder}: {error}") from error
        with self._said_plainly():
            self._db = sqlite3.connect(folder / "answers.sqlite", timeout=60, isolation_level=None)
            # a power cut may take the last answers with it, a kill may not
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + TABLE)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def __contains__(self, key: str) -> bool:
        with self._said_plainly():
            sql = "SELECT 1 FROM answers WHERE key = ?"
            return self._db.execute(sql, [bytes.fromhex(key)]).fetchone() is not None

    def __len__(self) -> int:
        with self._said_plainly():
            found: int = self._db.execute("SELECT count(*) FROM answers").fetchone()[0]
            return found

    def get(self, key: str) -> Kept | None:
        """Returns the answer of a key; None where there is none."""
        sql = (
            "SELECT text, finish_reason, prompt_tokens, completion_tokens, model, by_batch "
            "FROM answers WHERE key = ?"
        )
        with self._said_plainly():
            row = self._db.execute(sql, [bytes.fromhex(key)]).fetchone()
        if row is None:
            return None
        text, finish_reason, prompt, completion, model, by_batch = row
        usage = None if prompt is None else Usage(prompt, completion)
        return Kept(text, finish_reason, usage, model, bool(by_batch))

    def keep(self, key: str, result: Result, asked: str, *, by_batch: bool = False) -> bool:
        """Keeps an answer of the model that was asked; False where there is one already."""
        usage = result.usage
        row = (
            bytes.fromhex(key), result.text, result.finish_reason,
            usage and usage.prompt, usage and usage.completion, asked, result.model,
            result.request.template, result.seconds, time(), by_batch,
        )  # fmt: skip
        sql = f"INSERT OR IGNORE INTO answers VALUES ({', '.join('?' * len(row))})"
        with self._said_plainly():
            return self._db.execute(sql, row).rowcount == 1

    def bury(self, key: str, failure: Failure) -> None:
        """Adds a line to the dead letters: what failed and why, and not what was asked."""
        line = {
            "key": key,
            "reason": failure.reason,
            "tries": failure.tries,
            "prompt_tokens": failure.usage and failure.usage.prompt,
            "completion_tokens": failure.usage and failure.usage.completion,
            "at": round(time(), 3),
        }
        try:
            append_line(self.dead_letters, line)
        except OSError as error:
            raise CapacityError(f"cannot write {self.dead_letters}: {error}") from error

    def pace(self, asked: str) -> tuple[float, float] | None:
        """Seconds between answers of a model, and tokens of one, lately; None where unknown."""
        sql = (
            "SELECT asked, completion_tokens, at FROM answers WHERE NOT by_batch "
            "ORDER BY rowid DESC LIMIT ?"
        )
        with self._said_plainly():
            rows = [row for row in self._db.execute(sql, [RECENT]) if row[0] == asked]
        tokens = [row[1] for row in rows if row[1] is not None]
        if len(rows) < 2 or not tokens:
            return None
        times = [row[2] for row in rows]
        gaps = [min(max(later - sooner, 0.0), BREAK_S) for later, sooner in pairwise(times)]
        return sum(gaps) / len(gaps), sum(tokens) / len(tokens)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other jobs from asking the same at the same time; a kill lets them in again.

        Raises:
            CapacityError: when another is at work.
        """
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise CapacityError(
                    f"another job is filling {self.folder}; wait for it, or choose another folder"
                ) from error
            yield

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        where = self.folder / "answers.sqlite"
        try:
            yield
        except sqlite3.OperationalError as error:
            raise CapacityError(f"cannot use {where}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{where} is damaged, or no file of answers: {error}. Move it away; what it held "
                "is asked again"
            ) from error


class KeySet:
    """Keys with a number each, in a file without a name once they are many."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE keys (key BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def add(self, key: str, number: int = 0) -> bool:
        """Adds a key; False where it was there before."""
        sql = "INSERT OR IGNORE INTO keys VALUES (?, ?)"
        return self._db.execute(sql, [bytes.fromhex(key), number]).rowcount == 1

    def number(self, key: str) -> int | None:
        """Returns the number of a key; None for one that is not here."""
        sql = "SELECT n FROM keys WHERE key = ?"
        row = self._db.execute(sql, [bytes.fromhex(key)]).fetchone()
        return None if row is None else int(row[0])
