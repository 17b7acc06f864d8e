"""How does one ask? The HTTP interface: JSON for programs, a page for people."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from etalage.serve.runtime.cards import cards
from etalage.serve.runtime.engine import Clock, Engine
from etalage.serve.runtime.live import Live
from etalage.serve.runtime.page import apology, page, style
from etalage.serve.runtime.requests import MOST_BYTES, RequestError, asked, read_body
from etalage.serve.runtime.wire import OneWrite

LOG = logging.getLogger("etalage.serve")
RECOMMEND = ("user", "history", "k", "exclude", "context")
GARBAGE = 20_000
"""Objects made before garbage is looked for; an answer makes and drops hundreds, without cycles."""
SCORE = ("user", "history", "items", "context")
BODY_SECONDS = 30.0
"""How long a body may take to arrive."""


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

    recommend = _answering(live, "/recommend", _recommend)
    app = _App(recommend, title="Etalage", lifespan=lifespan, openapi_url=None)
    app.state.live = live
    add = app.router.add_route  # the plain route: no validation layer between socket and answer
    add("/recommend", recommend, methods=["POST"])  # other methods get its 405
    add("/score", _answering(live, "/score", _score), methods=["POST"])
    add("/items/{id:path}", _answering(live, "/items", _item), methods=["GET"])
    add("/healthz", _answering(live, "/healthz", _health), methods=["GET"])

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

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        request_id, headers = _request_id(request)
        message = f"{error.detail}: {request.method} {request.url.path}"
        content = _json({"error": message}, request_id)
        headers |= error.headers or {}
        return Response(content, error.status_code, headers, media_type="application/json")

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
Ask = Callable[[Request, Live], Awaitable[dict[str, Any]]]
Endpoint = Callable[[Request], Awaitable[Response]]


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


def _answering(live: Live, path: str, ask: Ask) -> Endpoint:
    """Wraps an endpoint: request id, errors as JSON, counts and milliseconds."""

    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        request_id, headers = _request_id(request)
        status, problem = 200, ""
        try:
            content = await ask(request, live)
            if "milliseconds" in content:
                total = 1000 * (time.perf_counter() - started)
                content["milliseconds"]["total"] = round(total, 3)
            body = _json(content, request_id)
        except RequestError as error:
            status, problem = error.status, str(error)
        except ClientDisconnect:
            status, problem = 400, "the request ended before its body did"
        except Exception:
            LOG.exception("request %s failed", request_id)
            status, problem = 500, "the server failed; its log says why, under this request id"
        if status != 200:
            body = _json({"error": problem}, request_id)
        if status in (408, 413):
            headers["connection"] = "close"  # what still comes in would keep it open
        live.answered(path, status, 1000 * (time.perf_counter() - started))
        return Response(body, status, headers, media_type="application/json")

    return endpoint


def _json(content: dict[str, Any], request_id: str) -> bytes:
    content["request_id"] = request_id
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _request_id(request: Request) -> tuple[str, dict[str, str]]:
    """The id that the caller gave, or a new one; and the header that says it."""
    request_id = _header(request, b"x-request-id")[:100]
    if not request_id.isprintable() or not request_id:
        request_id = f"{random.getrandbits(128):032x}"
    return request_id, {"x-request-id": request_id}


def _header(request: Request, name: bytes) -> str:
    return next((v.decode("latin-1") for k, v in request.scope["headers"] if k == name), "")


async def _recommend(request: Request, live: Live) -> dict[str, Any]:
    engine = live.engine  # one engine for the whole answer, whatever is swapped in meanwhile
    question = asked(read_body(await _body(request), RECOMMEND), engine)
    answer = engine.recommend(
        question.history, question.k, exclude=question.exclude, context=question.context
    )
    if answer.degraded:
        live.counts["degraded"] += 1
    content = {"items": cards(engine, question.history, answer), "unknown": question.unknown}
    return _told(content, engine, answer.milliseconds, answer.degraded, question.note)


def _told(
    content: dict[str, Any],
    engine: Engine,
    milliseconds: dict[str, float],
    degraded: str | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    """Adds what every answer tells of how it came about; `_answering` adds the request's id."""
    return content | {
        "model_version": engine.manifest["model_version"],
        "milliseconds": {name: round(ms, 3) for name, ms in milliseconds.items()},
        "degraded": degraded is not None,
        "reason": degraded or note,
    }


async def _score(request: Request, live: Live) -> dict[str, Any]:
    engine = live.engine
    question = asked(read_body(await _body(request), SCORE), engine)
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


async def _item(request: Request, live: Live) -> dict[str, Any]:
    engine, external = live.engine, request.path_params["id"]
    clock = Clock()
    item = engine.catalogue.ids.index(external)
    if item < 0:
        raise RequestError(404, f"no item is called {external!r}")
    card = engine.catalogue.card(item)
    clock.lap("find")
    return _told(card, engine, clock.laps)


async def _health(request: Request, live: Live) -> dict[str, Any]:
    manifest = live.engine.manifest
    return {
        "status": "ok" if live.problem is None else "old bundle",
        "problem": live.problem,
        "name": manifest["name"],
        "model_version": manifest["model_version"],
        "n_items": len(live.engine.catalogue.ids),
    }


async def _body(request: Request) -> bytes:
    """The body, refused as soon as it is known to be too large, or too late."""
    refusal = RequestError(413, f"the body is larger than {MOST_BYTES // 1024} kB; send less")
    length = _header(request, b"content-length")
    if length.isdecimal() and int(length) > MOST_BYTES:
        raise refusal
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise refusal
    except TimeoutError as error:
        message = f"the body did not arrive within {BODY_SECONDS:g} seconds; ask again"
        raise RequestError(408, message) from error
    return bytes(body)


def serve(folder: Path, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves a bundle until it is told to stop; `say` takes where, once it is loaded."""
    import uvicorn

    app = create_app(folder)
    gc.freeze()  # what was loaded stays; looking at it again and again would delay answers
    gc.set_threshold(GARBAGE)
    say(f"the shop window is at http://{host}:{port} (Ctrl-C closes it)")
    uvicorn.run(app, host=host, port=port, http=OneWrite, log_level="warning", access_log=False)
