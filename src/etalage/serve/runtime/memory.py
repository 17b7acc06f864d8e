"""How is a memory asked over HTTP? Write, read, list, forget and export, each user their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from etalage.memory.reminder import remind
from etalage.memory.statement import LATEST
from etalage.memory.upkeep import stats
from etalage.memory.user import UserMemory
from etalage.serve.runtime.answering import (
    Endpoint,
    RequestError,
    answering,
    id_of,
    log_quietly,
    refused,
)
from etalage.serve.runtime.bodies import body_of, check_names, read_body
from etalage.serve.runtime.counts import Counts
from etalage.serve.runtime.keeper import Keeper, refusal_of
from etalage.serve.runtime.said import STATEMENT, statement
from etalage.serve.runtime.wire import run

MOST_BYTES = 1024 * 1024
MOST_STATEMENTS = 1000
MOST_HITS = 200
MOST_QUESTION = 10_000
"""Characters."""
READ = ("user", "question", "k", "as_of", "budget", "actor")
LIST = ("user", "n", "before", "as_of")
AT_ONCE = 64 * 1024
"""Bytes of an export that are sent together."""


def add_memory(app: FastAPI, keeper: Keeper, counts: Counts) -> None:
    """Adds the endpoints of a memory to an application."""

    def add(method: str, path: str, ask: Ask, label: str | None = None) -> None:
        endpoint = answers(counts, label or path, partial(ask, keeper))
        app.router.add_route(path, endpoint, methods=[method])

    add("POST", "/memory", _write)
    add("GET", "/memory", _list, "GET /memory")
    add("POST", "/memory/read", _read)
    add("POST", "/memory/forget", _forget)
    add("GET", "/memory/export", _export)
    add("DELETE", "/memory/{number}", _delete, "/memory/{number}")


def create_memory_app(keeper: Keeper) -> FastAPI:
    """Builds an application that serves a memory alone."""
    counts = Counts()
    app = FastAPI(title="Etalage", lifespan=lambda app: keeper.kept(), openapi_url=None)
    add_memory(app, keeper, counts)
    app.add_exception_handler(HTTPException, refused)

    async def health(request: Request) -> dict[str, Any]:
        return {"status": "ok"} | await asyncio.to_thread(stats, keeper.store)

    async def metrics(request: Request) -> Response:
        text = "\n".join(counts.lines()) + "\n"
        return Response(text, media_type="text/plain; version=0.0.4")

    app.router.add_route("/healthz", answers(counts, "/healthz", health), methods=["GET"])
    app.router.add_route("/metrics", metrics, methods=["GET"])
    return app


def serve(path: Path, key: bytes, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves a memory alone until it is told to stop; `say` takes where, once it is open."""
    app = create_memory_app(Keeper.open(path, key))
    say(f"the memory is at http://{host}:{port}/memory (Ctrl-C closes it)")
    run(app, host, port)


Ask = Callable[[Keeper, Request], Awaitable[dict[str, Any] | Response]]


def answers(
    counts: Counts, path: str, ask: Callable[[Request], Awaitable[dict[str, Any] | Response]]
) -> Endpoint:
    """Wraps an endpoint as `answering` does, and keeps what was said out of the log."""

    async def asked(request: Request) -> dict[str, Any] | Response:
        try:
            return await ask(request)
        except (RequestError, ClientDisconnect):
            raise
        except Exception as error:
            raise refusal_of(error, id_of(request)[0]) from None

    return answering(counts, path, asked)


async def _write(keeper: Keeper, request: Request) -> dict[str, Any]:
    memory = keeper.asking(request)  # before the body: who may not write need not send it
    body = await body_of(request, MOST_BYTES)
    fields = read_body(body, ("user", "statements", *STATEMENT))
    keeper.asking(request, fields.pop("user", None))
    given = fields.pop("statements", None)
    if given is None:
        given = [fields]
    elif fields:
        raise RequestError(422, "give either statements, or the parts of one")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_STATEMENTS:
        raise RequestError(422, f"statements must be a list of 1 to {MOST_STATEMENTS:,} objects")
    statements = [statement(parts) for parts in given]
    return {"numbers": await keeper.write(memory.name, statements, len(body))}


async def _read(keeper: Keeper, request: Request) -> dict[str, Any]:
    keeper.asking(request)
    fields = read_body(await body_of(request, MOST_BYTES), READ)
    memory = keeper.asking(request, fields.get("user"))
    question, actor = fields.get("question"), fields.get("actor")
    if not isinstance(question, str) or len(question) > MOST_QUESTION:
        most = f"{MOST_QUESTION:,} characters"
        raise RequestError(422, f"question must be a text of at most {most}")
    if actor is not None and (type(actor) is not str or not 1 <= len(actor) <= 100):
        raise RequestError(422, "actor must be a text of 1 to 100 characters: who reads, what for")
    as_of = _whole(fields, "as_of", 0, LATEST, None)
    budget = _whole(fields, "budget", 1, LATEST, None)
    k = _whole(fields, "k", 1, MOST_HITS, 10 if budget is None else 50)
    assert k is not None
    if budget is not None:
        told = await asyncio.to_thread(
            partial(remind, memory, question, budget, k=k, as_of=as_of, actor=actor or "reminder")
        )
        return {"reminder": told.text, "numbers": told.numbers, "n_tokens": told.n_tokens}
    hits = await asyncio.to_thread(partial(memory.read, question, k, as_of=as_of, actor=actor))
    return {"hits": [asdict(hit) for hit in hits]}


async def _list(keeper: Keeper, request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = dict(request.query_params)
    check_names(fields, LIST)
    memory = keeper.asking(request, fields.pop("user", None))
    for name, value in fields.items():
        fields[name] = _number(value)
    n = _whole(fields, "n", 1, MOST_HITS, 50) or 50
    before = _whole(fields, "before", 1, LATEST, None)
    as_of = _whole(fields, "as_of", 0, LATEST, None)
    return await asyncio.to_thread(_page, memory, n, before, as_of)


def _page(memory: UserMemory, n: int, before: int | None, as_of: int | None) -> dict[str, Any]:
    page: dict[str, Any] = {} if before else {"beliefs": [asdict(b) for b in memory.beliefs(as_of)]}
    memories = memory.newest(n + 1, before)
    more = memories[n - 1].number if len(memories) > n else None
    shown = [memory.to_dict() for memory in memories[:n]]
    return {"memories": shown, "before": more, "n_memories": memory.count()} | page


async def _forget(keeper: Keeper, request: Request) -> dict[str, Any]:
    keeper.asking(request)
    fields = read_body(await body_of(request, MOST_BYTES), ("user", "numbers", "everything"))
    memory = keeper.asking(request, fields.get("user"))
    numbers, everything = fields.get("numbers"), fields.get("everything", False)
    if type(everything) is not bool or everything == (numbers is not None):
        raise RequestError(422, 'give {"numbers": [...]}, or {"everything": true}')
    if everything:
        return asdict(await keeper.erase(memory))
    if not isinstance(numbers, list) or not _are_numbers(numbers):
        raise RequestError(422, f"numbers must be a list of at most {MOST_STATEMENTS:,} numbers")
    return asdict(await asyncio.to_thread(partial(memory.forget, *numbers, actor="user")))


async def _delete(keeper: Keeper, request: Request) -> dict[str, Any]:
    memory = keeper.asking(request, request.query_params.get("user"))
    number = _number(request.path_params["number"])
    if type(number) is not int:
        raise RequestError(422, "a memory has a whole number: DELETE /memory/3")
    receipt = await asyncio.to_thread(partial(memory.forget, number, actor="user"))
    if not receipt.n_memories:
        raise RequestError(404, f"there is no memory {number} of this user")
    return asdict(receipt)


async def _export(keeper: Keeper, request: Request) -> Response:
    memory = keeper.asking(request, request.query_params.get("user"))
    return exported(memory)


def exported(memory: UserMemory) -> Response:
    """Everything of a user as JSON lines, as it is read."""
    headers = {"content-disposition": 'attachment; filename="memories.jsonl"'}
    return StreamingResponse(_parts(memory), 200, headers | NOT_KEPT, "application/jsonl")


NOT_KEPT = {"cache-control": "no-store"}


def _parts(memory: UserMemory) -> Iterator[bytes]:
    part = bytearray()
    try:
        for line in memory.export():
            part += line
            if len(part) >= AT_ONCE:
                yield bytes(part)
                part.clear()
    except Exception as error:
        log_quietly("an export was cut off", error)
        raise ConnectionError("an export was cut off; the log says where") from None
    yield bytes(part)


def _number(text: str) -> int | str:
    """A whole number that was written out, as it is where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text


def _are_numbers(given: list[Any]) -> bool:
    return len(given) <= MOST_STATEMENTS and all(type(number) is int for number in given)


def _whole(
    fields: dict[str, Any], name: str, least: int, most: int, without: int | None
) -> int | None:
    """A whole number of a field, or what it is without one."""
    if (value := fields.get(name)) is None:
        return without
    if type(value) is not int or not least <= value <= most:
        got = value if type(value) is int else type(value).__name__
        raise RequestError(422, f"{name} must be a whole number from {least} to {most}; got {got}")
    return value
