"""What does the page tell of memory, and to whom? To who opened the link that the server printed.

The window is for the shop's own people and needs no token, memories do: the link holds a key that
is new at every start, and leaves it as a cookie that no other site can send. Nothing is decided by
the address of the caller, since behind a proxy everybody's is that of the proxy.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from numpy.typing import NDArray

from etalage.memory.facts import LONGEST_NAME, Belief
from etalage.memory.refusals import Refusal
from etalage.memory.statement import DAY_MS, Memory
from etalage.memory.tokens import holder, issue
from etalage.serve.runtime.answering import RequestError, header
from etalage.serve.runtime.bodies import body_of
from etalage.serve.runtime.counts import Counts
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.keeper import Keeper
from etalage.serve.runtime.kept_out import Filter
from etalage.serve.runtime.memory import answers, exported

COOKIE = "etalage_page"
MOST_BYTES = 64 * 1024
MOST_MEMORIES, MOST_BELIEFS = 100, 100
"""That a page shows."""
MOST_SHOWN = 400
"""Characters of one memory."""
SAID = {
    "likes": ("likes", "does not like"),
    "allergic_to": ("is allergic to", "is no longer allergic to"),
    "lives_in": ("lives in", "no longer lives in"),
    "works_as": ("works as", "no longer works as"),
    "works_at": ("works at", "no longer works at"),
    "owns": ("owns", "does not own"),
}
"""Predicates that are verbs; any other is an attribute."""
ACTS = {"bought", "clicked", "rated", "returned", "viewed"}
"""What somebody did is told among the memories; here it is told what follows from it."""
BY = {"user": "said by the visitor", "assistant": "said by an assistant", "shop": "from the shop"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Section:
    """What is told of one visitor."""

    n_memories: int
    kept_out: NDArray[np.int32]
    because: list[tuple[Refusal, int]]
    memories: list[dict[str, Any]]
    """The newest."""
    beliefs: list[dict[str, Any]]
    n_beliefs: int
    seal: str
    """That a form brings back: another site cannot know it."""
    export: str
    n_forgotten: int | None
    """By the button that led here."""
    is_scrubbed: bool


class Desk:
    """The part of the page that is about memory."""

    def __init__(self, keeper: Keeper, kept_out: Filter) -> None:
        self._keeper, self._filter = keeper, kept_out

    def is_open(self, request: Request) -> bool:
        """Whether a request comes from somebody who opened the link."""
        given = request.cookies.get(COOKIE, "")
        return hmac.compare_digest(given.encode(), self._keeper.page_key.encode())

    def tell(self, engine: Engine, given: dict[str, str], visitor: str) -> Section | None:
        """What the page tells of a visitor; None for a name that nobody can have."""
        if len(visitor) > LONGEST_NAME:
            return None
        memory = self._keeper.store.user(visitor)
        held = [belief for belief in memory.beliefs() if belief.predicate not in ACTS]
        beliefs = sorted(held, key=lambda b: (b.strength < 1, -b.since, b.memories))
        kept_out, forgot = self._filter.of(engine, memory), given.get("forgot", "")
        return Section(
            n_memories=memory.count(),
            kept_out=kept_out.items,
            because=kept_out.because,
            memories=[_memory(m) for m in memory.newest(MOST_MEMORIES)],
            beliefs=[_belief(belief) for belief in beliefs[:MOST_BELIEFS]],
            n_beliefs=len(beliefs),
            seal=issue(self._keeper.page_key.encode(), visitor, self._now() + DAY_MS),
            export="/remembered/export?" + urlencode({"visitor": visitor}),
            n_forgotten=int(forgot) if forgot.isdecimal() and len(forgot) < 10 else None,
            is_scrubbed=given.get("scrubbed") != "no",
        )

    def add(self, app: FastAPI, counts: Counts) -> None:
        """Adds what the page's links and buttons ask for."""

        def add(method: str, path: str, ask: Callable[[Request], Any]) -> None:
            app.router.add_route(path, answers(counts, path, ask), methods=[method])

        add("GET", "/remembered", self._unlock)
        add("POST", "/remembered", self._forget)
        add("GET", "/remembered/export", self._export)

    async def _unlock(self, request: Request) -> Response:
        given = request.query_params.get("key", "")
        if not hmac.compare_digest(given.encode(), self._keeper.page_key.encode()):
            message = "this link is not of this start of the server; open the one that it printed"
            raise RequestError(403, message)
        answer = RedirectResponse("/", 303, {"cache-control": "no-store"})
        answer.set_cookie(COOKIE, given, httponly=True, samesite="strict")
        return answer

    async def _forget(self, request: Request) -> Response:
        self._check_open(request)
        origin = header(request, b"origin")
        if origin and urlsplit(origin).netloc != header(request, b"host"):
            raise RequestError(403, "this came from another site; nothing was forgotten")
        try:
            fields = parse_qs((await body_of(request, MOST_BYTES)).decode())
        except ValueError as error:
            raise RequestError(400, "the form is not in UTF-8") from error
        visitor, seal = (fields.get(name, [""])[0] for name in ("visitor", "seal"))
        if not visitor or holder(self._keeper.page_key.encode(), seal, self._now()) != visitor:
            message = "this form is not one of this page, or older than a day; open the page again"
            raise RequestError(403, message)
        memory = self._keeper.store.user(visitor)
        if fields.get("everything") == ["yes"]:
            receipt = await self._keeper.erase(memory)
        else:
            parts = fields.get("numbers", [""])[0].split()
            if not parts or not all(part.isdecimal() and len(part) < 11 for part in parts):
                raise RequestError(422, "the form names no memory; open the page again")
            receipt = await asyncio.to_thread(
                partial(memory.forget, *map(int, parts), actor="shop")
            )
        told = {"visitor": visitor, "forgot": receipt.n_memories}
        told |= {} if receipt.is_scrubbed else {"scrubbed": "no"}
        return RedirectResponse(f"/?{urlencode(told)}#remembered", 303)

    async def _export(self, request: Request) -> Response:
        self._check_open(request)
        return exported(self._keeper.store.user(request.query_params.get("visitor", "")))

    def _check_open(self, request: Request) -> None:
        if not self.is_open(request):
            message = "memories are shown to who opened the link that the server printed"
            raise RequestError(403, message)

    def _now(self) -> int:
        return self._keeper.store.clock()


def _memory(memory: Memory) -> dict[str, Any]:
    text = memory.text if len(memory.text) <= MOST_SHOWN else memory.text[:MOST_SHOWN] + " …"
    return {
        "number": memory.number,
        "text": text,
        "when": _when(memory.said_at),
        "by": BY[memory.source],
        "until": None if memory.until is None else _when(memory.until),
    }


def _belief(belief: Belief) -> dict[str, Any]:
    whose = belief.subject.removeprefix("user").removeprefix(".")
    verbs = SAID.get(belief.predicate)
    if verbs is not None:
        what = verbs[belief.polarity < 0]
    else:
        what = belief.predicate.replace("_", " ") + ("" if belief.polarity > 0 else " is not")
    return {
        "whose": whose,
        "what": what,
        "object": belief.object,
        "since": _when(belief.since),
        "sure": None if belief.strength >= 1 else f"{100 * belief.strength:.0f} % sure",
        "numbers": belief.memories,
    }


def _when(at: int) -> str:
    """A time (ms UTC) as people read it."""
    try:
        return (EPOCH + timedelta(milliseconds=at)).strftime("%-d %b %Y, %H:%M")
    except OverflowError:
        return "in the far future"
