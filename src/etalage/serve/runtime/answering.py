"""How is a request answered, whatever it asks? As JSON under an id, counted, mistakes as well."""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from etalage.serve.runtime.counts import Counts

LOG = logging.getLogger("etalage.serve")
Ask = Callable[[Request], Awaitable[dict[str, Any] | Response]]
"""Answers a request: with the members of a JSON object, or with what is no JSON."""
Endpoint = Callable[[Request], Awaitable[Response]]


class RequestError(Exception):
    """A request that cannot be answered: an HTTP status and what to do about it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def answering(counts: Counts, path: str, ask: Ask) -> Endpoint:
    """Wraps an endpoint: request id, errors as JSON, counts and milliseconds."""

    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        request_id, headers = id_of(request)
        status, problem = 200, ""
        try:
            content = await ask(request)
            if isinstance(content, Response):
                content.headers.update(headers)
                counts.answered(path, content.status_code, 1000 * (time.perf_counter() - started))
                return content
            if "milliseconds" in content:
                total = 1000 * (time.perf_counter() - started)
                content["milliseconds"]["total"] = round(total, 3)
            body = _json(content, request_id)
        except RequestError as error:
            status, problem = error.status, str(error)
            headers |= error.headers
        except ClientDisconnect:
            status, problem = 400, "the request ended before its body did"
        except Exception:
            LOG.exception("request %s failed", request_id)
            status, problem = 500, "the server failed; its log says why, under this request id"
        if status != 200:
            body = _json({"error": problem}, request_id)
        if status in (401, 408, 413):
            headers["connection"] = "close"  # what still comes in would keep it open
        counts.answered(path, status, 1000 * (time.perf_counter() - started))
        return Response(body, status, headers, media_type="application/json")

    return endpoint


async def refused(request: Request, error: Exception) -> Response:
    """Answers what no endpoint takes: a path or a method that is not there."""
    assert isinstance(error, HTTPException)
    request_id, headers = id_of(request)
    content = _json({"error": f"{error.detail}: {request.method} {request.url.path}"}, request_id)
    headers |= error.headers or {}
    return Response(content, error.status_code, headers, media_type="application/json")


def id_of(request: Request) -> tuple[str, dict[str, str]]:
    """The id that the caller gave, or a new one; and the header that says it."""
    request_id = header(request, b"x-request-id")[:100]
    if not request_id.isprintable() or not request_id:
        request_id = f"{random.getrandbits(128):032x}"
    return request_id, {"x-request-id": request_id}


def header(request: Request, name: bytes) -> str:
    """A header, empty where there is none."""
    return next((v.decode("latin-1") for k, v in request.scope["headers"] if k == name), "")


def _json(content: dict[str, Any], request_id: str) -> bytes:
    content["request_id"] = request_id
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def log_quietly(what: str, error: BaseException) -> None:
    """Logs kind and place of an error, and not its message, which may hold what was said."""
    kinds: list[str] = []
    cause: Any = error
    while cause is not None:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__
    places = "".join(traceback.format_tb(error.__traceback__))
    LOG.error("%s: %s\n%s", what, ", because of ".join(kinds), places)
