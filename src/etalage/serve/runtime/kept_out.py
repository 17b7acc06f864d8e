"""What is kept out of somebody's window? What they said that they do not want, and nothing else.

It is read anew for every answer, so what is forgotten keeps nothing out any more.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from etalage.memory.refusals import BECAUSE, Refusal, Words, refusals
from etalage.memory.user import UserMemory
from etalage.serve.runtime.answering import header, id_of
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.keeper import Keeper, refusal_of


@dataclass(frozen=True)
class KeptOut:
    """Items int32 (n,) that are not shown, and because of what."""

    items: NDArray[np.int32]
    because: list[tuple[Refusal, int]]
    """Refusals with how many items of the catalogue each keeps out."""
    milliseconds: float
    """That it took to remember."""

    def told(self) -> list[dict[str, Any]]:
        """What an answer tells: what was said, where, and how much it keeps out."""
        return [
            {
                "said": refusal.said,
                "because": refusal.because,
                "memories": refusal.memories,
                "n_items": n_items,
            }
            for refusal, n_items in self.because
        ]


class Filter:
    """Finds in the catalogue that is served what somebody does not want."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._known: tuple[Engine, Words] | None = None

    async def of_request(
        self, engine: Engine, request: Request, fields: dict[str, Any]
    ) -> KeptOut | None:
        """What is kept out for the holder of a request's token; None where it has none: what a
        gateway asks for, as a password, is not for the memory.

        The user of the token is the one that is asked for, unless a history is sent.

        Raises:
            RequestError: for a token that is not good, or another user's, and where the memory
                fails: then nothing is shown rather than what was refused.
        """
        if not header(request, b"authorization").lower().startswith("bearer"):
            return None
        memory = self._keeper.asking(request, fields.get("user"))
        if fields.get("history") is None:
            fields["user"] = memory.name
        try:
            return await asyncio.to_thread(self.of, engine, memory)
        except Exception as error:
            raise refusal_of(error, id_of(request)[0]) from None

    def of(self, engine: Engine, memory: UserMemory) -> KeptOut:
        """What is kept out for a user."""
        started = time.perf_counter()
        found = refusals(*memory.facts(BECAUSE))
        rows = [self._words(engine).refused(refusal) for refusal in found]
        items = np.unique(np.concatenate([np.zeros(0, np.int32), *rows]))
        counted = [(refusal, len(part)) for refusal, part in zip(found, rows, strict=True)]
        return KeptOut(items, counted, 1000 * (time.perf_counter() - started))

    def _words(self, engine: Engine) -> Words:
        known = self._known  # of the newest engine: another thread may set it meanwhile
        if known is None or known[0] is not engine:
            catalogue = engine.catalogue
            pairs = zip(catalogue.titles, catalogue.categories, strict=True)
            known = engine, Words([f"{title or ''} {category or ''}" for title, category in pairs])
            self._known = known
        return known[1]
