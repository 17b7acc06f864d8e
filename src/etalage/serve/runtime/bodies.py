"""What came in? The body of a request, whole and in time, and the JSON object that it is."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import Request

from etalage.errors import did_you_mean
from etalage.serve.runtime.answering import RequestError, header

SECONDS = 30.0
"""How long a body may take to arrive."""
MOST_SHOWN = 60
"""Characters of a name that an answer repeats."""


async def body_of(request: Request, most: int) -> bytes:
    """The body, refused as soon as it is known to be larger than so many bytes, or too late."""
    refusal = RequestError(413, f"the body is larger than {most // 1024} kB; send less")
    length = header(request, b"content-length")
    if length.isdecimal() and int(length) > most:
        raise refusal
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise refusal
    except TimeoutError as error:
        message = f"the body did not arrive within {SECONDS:g} seconds; ask again"
        raise RequestError(408, message) from error
    return bytes(body)


def read_body(body: bytes, allowed: tuple[str, ...]) -> dict[str, Any]:
    """Parses a JSON object; RequestError for anything else, or a field that is not known."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is no JSON: {error}") from error
    if not isinstance(fields, dict):
        known = ", ".join(allowed)
        raise RequestError(422, f"the body must be a JSON object with some of: {known}")
    check_names(fields, allowed)
    return fields


def check_names(fields: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """RequestError for a field that is not known."""
    for name in fields:
        if name not in allowed:
            shown = name[:MOST_SHOWN]
            hint = did_you_mean(shown, allowed) or f"; known: {', '.join(allowed)}"
            raise RequestError(422, f"unknown field {shown!r}{hint}")
