"""How does one ask? The HTTP interface: JSON for programs, a page for people."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from etalage.serve.runtime.answering import (
    Endpoint,
    RequestError,
    answering,
    log_quietly,
    refused,
)
from etalage.serve.runtime.bodies import MOST_SHOWN, body_of, read_body
from etalage.serve.runtime.cards import cards
from etalage.serve.runtime.creatives import MEDIA_TYPE
from etalage.serve.runtime.engine import Clock, Engine
from etalage.serve.runtime.live import Live
from etalage.serve.runtime.page import apology, page, style
from etalage.serve.runtime.requests import MOST_BYTES, asked
from etalage.serve.runtime.wire import run

if TYPE_CHECKING:
    from etalage.serve.runtime.keeper import Keeper
    from etalage.serve.runtime.kept_out import Filter

RECOMMEND = ("user", "history", "k", "exclude", "context")
GARBAGE = 20_000
"""Objects made before garbage is looked for; an answer makes and drops hundreds, without cycles."""
SCORE = ("user", "history", "items", "context")
Told = dict[str, Any] | Response


def create_app(folder: Path, poll_seconds: float = 1.0, *, keeper: Keeper | None = None) -> FastAPI:
    """Builds the application around a bundle, and a memory if there is one.

    Raises:
        BundleError: when there is no bundle to begin with.
    """
    live = Live(folder, poll_seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(live.watch())
        async with nullcontext() if keeper is None else keeper.kept():
            yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher

    def answers(path: str, ask: Callable[[Live, Request], Awaitable[Told]]) -> Endpoint:
        return answering(live.counts, path, partial(ask, live))

    desk, kept_out = None, None
    if keeper is not None:
        from etalage.serve.runtime.kept_out import Filter
        from etalage.serve.runtime.remembered import Desk

        kept_out = Filter(keeper)
        desk = Desk(keeper, kept_out)
    recommend = answers("/recommend", partial(_recommend, kept_out=kept_out))
    app = _App(recommend, title="Etalage", lifespan=lifespan, openapi_url=None)
    app.state.live = live
    add = app.router.add_route  # the plain route: no validation layer between socket and answer
    add("/recommend", recommend, methods=["POST"])  # other methods get its 405
    add("/score", answers("/score", _score), methods=["POST"])
    add("/items/{id:path}", answers("/items", _item), methods=["GET"])
    add("/creatives/{name}", answers("/creatives", _creative), methods=["GET"])
    add("/healthz", answers("/healthz", _health), methods=["GET"])

    async def metrics(request: Request) -> Response:
        return Response(live.metrics(), media_type="text/plain; version=0.0.4")

    def window(request: Request) -> Response:  # in a thread: drawing must not delay programs
        engine, given, tell = live.engine, dict(request.query_params), None
        if desk is not None and desk.is_open(request):
            tell = partial(desk.tell, engine, given)
        try:
            html, status = page(engine, given, tell)
        except Exception as error:
            log_quietly("the page could not be drawn", error)
            html, status = apology(), 500
        return Response(html, status, PAGE_HEADERS, media_type="text/html")

    async def css(request: Request) -> Response:
        return Response(style(), media_type="text/css")

    app.add_exception_handler(HTTPException, refused)

    add("/metrics", metrics, methods=["GET"])
    add("/", window, methods=["GET"])
    add("/window.css", css, methods=["GET"])
    if keeper is not None and desk is not None:
        from etalage.serve.runtime.memory import add_memory

        add_memory(app, keeper, live.counts)
        desk.add(app, live.counts)
    return app


PAGE_HEADERS = {
    # titles are strangers' text: were one ever let through unescaped, it would still run nothing
    "content-security-policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",  # it may tell what is remembered of somebody
    "referrer-policy": "same-origin",
}


PICTURE_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",  # its name is its hash
    "x-content-type-options": "nosniff",
}


class _App(FastAPI):
    """An application whose busiest endpoint is found without routes and layers."""

    def __init__(self, recommend: Endpoint, **settings: Any) -> None:
        super().__init__(**settings)
        self._recommend = recommend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"], scope["method"]) == ("/recommend", "POST"):
            response = await self._recommend(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _recommend(
    live: Live, request: Request, kept_out: Filter | None = None
) -> dict[str, Any]:
    engine = live.engine  # one engine for the whole answer, whatever is swapped in meanwhile
    fields = read_body(await body_of(request, MOST_BYTES), RECOMMEND)
    refused = None if kept_out is None else await kept_out.of_request(engine, request, fields)
    question = asked(fields, engine)
    exclude = question.exclude
    if refused is not None:
        exclude = np.concatenate([exclude, refused.items])
    answer = engine.recommend(
        question.history, question.k, exclude=exclude, context=question.context
    )
    if answer.degraded:
        live.counts.add("degraded")
    content = {"items": cards(engine, question.history, answer), "unknown": question.unknown}
    if refused is not None:
        content["kept_out"] = refused.told()
        answer.milliseconds["remember"] = refused.milliseconds
    return _told(content, engine, answer.milliseconds, answer.degraded, question.note)


def _told(
    content: dict[str, Any],
    engine: Engine,
    milliseconds: dict[str, float],
    degraded: str | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    """Adds what every answer tells of how it came about; `answering` adds the request's id."""
    return content | {
        "model_version": engine.manifest["model_version"],
        "milliseconds": {name: round(ms, 3) for name, ms in milliseconds.items()},
        "degraded": degraded is not None,
        "reason": degraded or note,
    }


async def _score(live: Live, request: Request) -> dict[str, Any]:
    engine = live.engine
    question = asked(read_body(await body_of(request, MOST_BYTES), SCORE), engine)
    if engine.ranker is None:
        raise RequestError(409, "this bundle has no ranker; export one that has, or ask /recommend")
    if not len(question.items):
        raise RequestError(422, "items must name at least one item of the catalogue")
    clock = Clock()
    rows = engine.rows(question.history, question.items, question.context)
    logits = engine.logits(rows)
    clock.lap("rank")
    probabilities = engine.probability(logits, rows["categories"])
    clock.lap("calibrate")
    content = {
        "items": engine.catalogue.ids.externals(question.items),
        "logits": logits.astype(np.float64),
        "probabilities": probabilities,
        "unknown": question.unknown,
    }
    return _told(content, engine, clock.laps)


async def _item(live: Live, request: Request) -> dict[str, Any]:
    engine, external = live.engine, request.path_params["id"]
    clock = Clock()
    item = engine.catalogue.ids.index(external)
    if item < 0:
        raise RequestError(404, f"no item is called {external!r}")
    card = engine.catalogue.card(item)
    clock.lap("find")
    return _told(card, engine, clock.laps)


async def _creative(live: Live, request: Request) -> Response:
    name = request.path_params["name"]
    picture = live.engine.catalogue.creatives.picture(name)
    if picture is None:
        raise RequestError(404, f"no picture is called {name[:MOST_SHOWN]!r}")
    return Response(picture, headers=PICTURE_HEADERS, media_type=MEDIA_TYPE)


async def _health(live: Live, request: Request) -> dict[str, Any]:
    manifest = live.engine.manifest
    return {
        "status": "ok" if live.problem is None else "old bundle",
        "problem": live.problem,
        "name": manifest["name"],
        "model_version": manifest["model_version"],
        "n_items": len(live.engine.catalogue.ids),
    }


def serve(
    folder: Path,
    host: str,
    port: int,
    say: Callable[[str], None],
    memory: tuple[Path, bytes] | None = None,
) -> None:
    """Serves a bundle until it is told to stop, and a memory with its key if there is one; `say`
    takes where, once all is loaded."""
    keeper = None
    if memory is not None:
        from etalage.serve.runtime.keeper import Keeper

        keeper = Keeper.open(*memory)
    app = create_app(folder, keeper=keeper)
    gc.freeze()  # what was loaded stays; looking at it again and again would delay answers
    gc.set_threshold(GARBAGE)
    address = f"http://{host}:{port}"
    say(f"the shop window is at {address} (Ctrl-C closes it)")
    if keeper is not None:
        say(f"what it remembers: open {address}/remembered?key={keeper.page_key} once")
    run(app, host, port)
