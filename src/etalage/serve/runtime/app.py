"""How does one ask? The HTTP interface: JSON for programs, a page for people."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from etalage.serve.runtime.answering import Endpoint, RequestError, answering, refused
from etalage.serve.runtime.bodies import body_of, read_body
from etalage.serve.runtime.cards import cards
from etalage.serve.runtime.engine import Clock, Engine
from etalage.serve.runtime.live import Live
from etalage.serve.runtime.page import apology, page, style
from etalage.serve.runtime.requests import MOST_BYTES, asked
from etalage.serve.runtime.wire import OneWrite

LOG = logging.getLogger("etalage.serve")
RECOMMEND = ("user", "history", "k", "exclude", "context")
GARBAGE = 20_000
"""Objects made before garbage is looked for; an answer makes and drops hundreds, without cycles."""
SCORE = ("user", "history", "items", "context")


def create_app(folder: Path, poll_seconds: float = 1.0) -> FastAPI:
    """Builds the application around a bundle; BundleError when there is none to begin with."""
    live = Live(folder, poll_seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(live.watch())
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher

    def answers(path: str, ask: Callable[[Live, Request], Awaitable[dict[str, Any]]]) -> Endpoint:
        return answering(live.counts, path, partial(ask, live))

    recommend = answers("/recommend", _recommend)
    app = _App(recommend, title="Etalage", lifespan=lifespan, openapi_url=None)
    app.state.live = live
    add = app.router.add_route  # the plain route: no validation layer between socket and answer
    add("/recommend", recommend, methods=["POST"])  # other methods get its 405
    add("/score", answers("/score", _score), methods=["POST"])
    add("/items/{id:path}", answers("/items", _item), methods=["GET"])
    add("/healthz", answers("/healthz", _health), methods=["GET"])

    async def metrics(request: Request) -> Response:
        return Response(live.metrics(), media_type="text/plain; version=0.0.4")

    def window(request: Request) -> Response:  # in a thread: drawing must not delay programs
        try:
            html, status = page(live.engine, dict(request.query_params))
        except Exception:
            LOG.exception("the page could not be drawn")
            html, status = apology(), 500
        return Response(html, status, PAGE_HEADERS, media_type="text/html")

    async def css(request: Request) -> Response:
        return Response(style(), media_type="text/css")

    app.add_exception_handler(HTTPException, refused)

    add("/metrics", metrics, methods=["GET"])
    add("/", window, methods=["GET"])
    add("/window.css", css, methods=["GET"])
    return app


PAGE_HEADERS = {
    # titles are strangers' text: were one ever let through unescaped, it would still run nothing
    "content-security-policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; "
    "img-src data:; form-action 'self'; base-uri 'none'"
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


async def _recommend(live: Live, request: Request) -> dict[str, Any]:
    engine = live.engine  # one engine for the whole answer, whatever is swapped in meanwhile
    question = asked(read_body(await body_of(request, MOST_BYTES), RECOMMEND), engine)
    answer = engine.recommend(
        question.history, question.k, exclude=question.exclude, context=question.context
    )
    if answer.degraded:
        live.counts.add("degraded")
    content = {"items": cards(engine, question.history, answer), "unknown": question.unknown}
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


async def _health(live: Live, request: Request) -> dict[str, Any]:
    manifest = live.engine.manifest
    return {
        "status": "ok" if live.problem is None else "old bundle",
        "problem": live.problem,
        "name": manifest["name"],
        "model_version": manifest["model_version"],
        "n_items": len(live.engine.catalogue.ids),
    }


def serve(folder: Path, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves a bundle until it is told to stop; `say` takes where, once it is loaded."""
    import uvicorn

    app = create_app(folder)
    gc.freeze()  # what was loaded stays; looking at it again and again would delay answers
    gc.set_threshold(GARBAGE)
    say(f"the shop window is at http://{host}:{port} (Ctrl-C closes it)")
    uvicorn.run(app, host=host, port=port, http=OneWrite, log_level="warning", access_log=False)
