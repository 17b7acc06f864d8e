"""An answer leaves in one write, whole, whether or not the connection goes on."""

import asyncio
from typing import Any

import pytest

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
    from uvicorn import Config
    from uvicorn.server import ServerState

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
