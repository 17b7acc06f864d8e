"""What was asked? Fields of requests, checked one by one, in indices of a catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.ids import UNKNOWN
from etalage.serve.runtime.answering import RequestError
from etalage.serve.runtime.bodies import MOST_SHOWN
from etalage.serve.runtime.engine import Engine

MOST_BYTES = 256 * 1024
MOST_PLACES = 200
MOST_IDS = {"history": 10_000, "exclude": 10_000, "items": 1000}
"""Ids that a list of a request may hold. Items to score each cost a row of the ranker, and other
requests wait meanwhile."""
WHEN_TOO_MANY = {
    "history": "Send the newest",
    "exclude": "Send fewer",
    "items": "Ask in several requests",
}
SCALARS = (str, int, float, bool, type(None))
NOTHING = np.zeros(0, dtype=np.int32)


@dataclass
class Asked:
    """A request in indices."""

    history: NDArray[np.int32]
    k: int
    exclude: NDArray[np.int32]
    items: NDArray[np.int32]
    context: dict[str, Any]
    unknown: list[Any]
    """External ids that are not in the catalogue; they count for nothing."""
    note: str | None = None


def asked(fields: dict[str, Any], engine: Engine) -> Asked:
    """Turns external ids into indices; an inline history wins over a stored one."""
    unknown: list[Any] = []

    def indices(name: str) -> NDArray[np.int32]:
        externals = _ids(fields, name)
        if not externals:
            return NOTHING
        found = engine.catalogue.ids.indices(externals)
        rows = found.tolist()
        if UNKNOWN in rows:
            unknown.extend(e for e, row in zip(externals, rows, strict=True) if row == UNKNOWN)
            found = found[found >= 0]
        return found

    k = fields.get("k", 10)
    if type(k) is not int or not 1 <= k <= MOST_PLACES:
        got = k if type(k) is int else type(k).__name__
        raise RequestError(422, f"k must be a whole number from 1 to {MOST_PLACES}; got {got}")
    user, note = fields.get("user"), None
    if user is not None and type(user) not in (str, int):
        got = type(user).__name__
        raise RequestError(422, f"user must be text or a whole number; got {got}")
    if fields.get("history") is not None:
        history = indices("history")
    else:
        stored = engine.visitors.history(user) if user is not None else None
        history = NOTHING if stored is None else stored
        if stored is None and user is not None:
            note = "this visitor is new: no history is stored, so what is popular is shown"
    if unknown and not len(history):
        note = note or "no item of the history is in the catalogue, so what is popular is shown"
    return Asked(history, k, indices("exclude"), indices("items"), _context(fields), unknown, note)


def _context(fields: dict[str, Any]) -> dict[str, Any]:
    """The context of a request; RequestError where it is no object, or holds lists or objects."""
    context = fields.get("context")
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise RequestError(422, 'context must be an object, for example {"device": "phone"}')
    for name, value in context.items():
        if type(value) not in SCALARS:
            what = f"context {name[:MOST_SHOWN]!r} must be text, a number, true, false or null"
            raise RequestError(422, f"{what}; got {type(value).__name__}")
    return context


def _ids(fields: dict[str, Any], name: str) -> list[str | int]:
    """The external ids of a field; RequestError where they are none, or too many."""
    given = fields.get(name)
    if given is None:
        return []
    most = MOST_IDS[name]
    if isinstance(given, list) and len(given) > most:  # before each of them is looked at
        what = f"{name} may hold {most:,} ids at most; got {len(given):,}"
        raise RequestError(422, f"{what}. {WHEN_TOO_MANY[name]}")
    if not isinstance(given, list) or not all(type(e) in (str, int) for e in given):
        raise RequestError(422, f"{name} must be a list of item ids (text or whole numbers)")
    return given
