"""How does an answer reach the socket? Head and body in one write.

uvicorn writes them one after the other, and each write is a system call that wakes the client.
It also keeps all of a head that does not end, whatever its size; here that is cut off.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024
"""Bytes that may arrive before a head ends, or before the next part of a body begins."""


def run(app: FastAPI, host: str, port: int) -> None:
    """Serves an application until it is told to stop."""
    uvicorn.run(app, host=host, port=port, http=OneWrite, log_level="warning", access_log=False)


class OneWrite(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over a transport that gathers what is written in one go."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        gathering = _Gathering(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, gathering))
        self._n_held = 0

    def data_received(self, data: bytes) -> None:
        self._n_held += len(data)
        super().data_received(data)
        if self._n_held > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The head is larger than {MOST_HEAD // 1024} kB.")

    def on_headers_complete(self) -> None:
        self._n_held = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._n_held = 0
        super().on_body(body)


class _Gathering:
    """A transport that holds writes back until the event loop turns, or the end."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        joined, self._parts = b"".join(self._parts), []
        if joined and not self._transport.is_closing():  # the client may have left meanwhile
            self._transport.write(joined)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
