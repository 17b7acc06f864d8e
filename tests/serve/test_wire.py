"""An answer leaves in one write, whole, whether or not the connection goes on."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from etalage.serve.runtime.wire import OneWrite, _Gathering


class Pipe(asyncio.Transport):
    """A transport that remembers what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


async def app(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize(("header", "closes"), [("", False), ("connection: close\r\n", True)])
def test_head_and_body_leave_in_one_write(header: str, closes: bool) -> None:
    async def ask() -> tuple[list[bytes], bool]:
        config = Config(app, log_level="critical")
        config.load()
        protocol = OneWrite(config=config, server_state=ServerState(), app_state={})
        pipe = Pipe()
        protocol.connection_made(pipe)
        for _ in range(2 - closes):
            protocol.data_received(f"GET / HTTP/1.1\r\nhost: x\r\n{header}\r\n".encode())
            await asyncio.sleep(0.05)
        was_closed = pipe.is_closed
        protocol.connection_lost(None)
        return pipe.written, was_closed

    written, was_closed = asyncio.run(ask())
    assert len(written) == 2 - closes
    for answer in written:
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nhello")
    assert was_closed == closes


def fed(*pieces: bytes) -> Pipe:
    """What a client is written that sends these pieces."""

    async def ask() -> Pipe:
        config = Config(app, log_level="critical")
        config.load()
        protocol = OneWrite(config=config, server_state=ServerState(), app_state={})
        pipe = Pipe()
        protocol.connection_made(pipe)
        for piece in pieces:
            if not pipe.is_closed:
                protocol.data_received(piece)
            await asyncio.sleep(0.005)
        protocol.connection_lost(None)
        return pipe

    return asyncio.run(ask())


def test_a_head_that_does_not_end_is_cut_off() -> None:
    pipe = fed(b"POST / HTTP/1.1\r\nhost: x\r\nlong: ", *[b"x" * 10_000] * 7)
    assert b"".join(pipe.written).startswith(b"HTTP/1.1 400")
    assert b"larger than 64 kB" in b"".join(pipe.written)
    assert pipe.written == fed(*[b"GET /" + b"x" * 70_000]).written


def test_bodies_and_many_requests_are_no_head() -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\n"
    whole = head + b"long: " + b"x" * 40_000 + b"\r\n\r\n"
    body = head + b"content-length: 90000\r\n\r\n"
    pipe = fed(whole, whole, body, b"x" * 50_000, b"x" * 40_000, whole)
    assert [answer[:12] for answer in pipe.written] == [b"HTTP/1.1 200"] * 4


def test_nothing_is_written_to_a_client_that_left() -> None:
    async def ask() -> Pipe:
        pipe = Pipe()
        gathering = _Gathering(pipe, asyncio.get_running_loop())
        gathering.write(b"an answer")
        pipe.abort()
        await asyncio.sleep(0.01)
        gathering.close()
        return pipe

    assert asyncio.run(ask()).written == []
