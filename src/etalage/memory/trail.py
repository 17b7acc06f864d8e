"""Who touched what, and can it be proved? A chain of seals over every act, without any content.

seal_i = HMAC(key of the user, seal_{i-1} ‖ act_i): whoever changes, drops or reorders an act breaks
the chain, but for the newest: a chain that was cut short is whole. The key follows from the user's
salt, so after an erasure nothing can be told from seals that were copied before.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from etalage.memory.database import first, last


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done with somebody's memories."""

    number: int
    at: int
    """Milliseconds UTC."""
    what: str
    """wrote, read, learned, forgot or expired."""
    memory: int
    """Number of the memory; 0 where it was no single one."""
    actor: str
    """Who did it, and for what."""


def sealed(key: bytes, before: bytes, act: Act) -> bytes:
    """Returns the seal of an act."""
    said = orjson.dumps([act.number, act.at, act.what, act.memory, act.actor])
    return hmac.digest(key, before + said, "sha256")


class Trail:
    """The acts on one user's memories, while they are read or written."""

    def __init__(self, run: Any, user: int, key: bytes) -> None:
        self._run, self._user, self._key = run, user, key

    def add(self, at: int, what: str, memories: Iterable[int], actor: str) -> None:
        """Adds an act for each memory, within the transaction that does it."""
        rows = self._run(
            "SELECT id, mac FROM audit WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
            (first(self._user), last(self._user)),
        ).fetchall()
        number, before = (rows[0][0] - first(self._user), rows[0][1]) if rows else (0, b"")
        for memory in memories:
            number += 1
            act = Act(number, at, what, memory, actor)
            before = sealed(self._key, before, act)
            row = (first(self._user) + number, at, what, memory, actor, before)
            self._run("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", row)

    def acts(self) -> tuple[Sequence[Act], bool]:
        """Returns all acts, oldest first, and whether the chain is whole."""
        rows = self._run(
            "SELECT id, at, what, memory, actor, mac FROM audit WHERE id BETWEEN ? AND ? "
            "ORDER BY id",
            (first(self._user), last(self._user)),
        ).fetchall()
        acts = [Act(row[0] - first(self._user), *row[1:5]) for row in rows]
        before, whole = b"", True
        for place, (act, row) in enumerate(zip(acts, rows, strict=True), 1):
            before = sealed(self._key, before, act)
            whole &= act.number == place and hmac.compare_digest(before, row[5])
        return acts, whole
