"""Who may ask for whose memories? The holder of a user's token, for that user's and nobody else's.

A keeper is a memory that is served: the store, the thread that writes to it, and the keys.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from fastapi import Request

from etalage.errors import BusyError, CapacityError, DamagedError, DataError
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.tokens import check_key, holder
from etalage.memory.upkeep import expire
from etalage.memory.user import Receipt, UserMemory
from etalage.memory.writer import Writer
from etalage.serve.runtime.answering import RequestError, header, log_quietly

LOG = logging.getLogger("etalage.serve")
EXPIRY_SECONDS = 60.0
"""How often is looked for what is to be forgotten by now."""
MOST_WAITING = 32 * 2**20
"""Bytes of statements that may wait for the disk."""


class Keeper:
    """A memory that is served.

    Args:
        store: which the keeper closes in the end.
        key: secret by which tokens are known.

    Raises:
        DataError: for a key that could be guessed.
    """

    def __init__(self, store: MemoryStore, key: bytes) -> None:
        check_key(key)
        self.store = store
        self.page_key = secrets.token_urlsafe(32)
        """Whoever has it may see the page of memories; another one after each start."""
        self._key = key
        self._writer = Writer(store)
        self._waiting = 0

    @classmethod
    def open(cls, path: Path, key: bytes) -> Self:
        """Opens a file, with one key for its names and for tokens; makes it where there is none.

        Raises:
            DataError: for a key that could be guessed, or where the file is no memory of that key.
            CapacityError: where it cannot be written.
        """
        check_key(key)  # before a file is made
        return cls(MemoryStore(path, key=key), key)

    def asking(self, request: Request, named: object = None) -> UserMemory:
        """The memories of whoever holds the request's token.

        Args:
            request: with a header `authorization: Bearer ...`.
            named: the user that the request speaks of, None where it names none.

        Raises:
            RequestError: 401 without a token that is good, 403 where it is another user's.
        """
        scheme, _, token = header(request, b"authorization").partition(" ")
        if scheme.lower() != "bearer":
            message = "send the token of a user: authorization: Bearer TOKEN"
            raise RequestError(401, message, {"www-authenticate": 'Bearer realm="memory"'})
        user = holder(self._key, token.strip(), self.store.clock())
        if user is None:
            message = "the token is not one of this server, or its time is over; get a new one"
            challenge = 'Bearer realm="memory", error="invalid_token"'
            raise RequestError(401, message, {"www-authenticate": challenge})
        if named is not None and (type(named) not in (str, int) or str(named) != user):
            raise RequestError(403, "the token is that of another user; leave `user` out")
        return self.store.user(user)

    async def write(self, user: str, statements: Sequence[Statement], n_bytes: int) -> list[int]:
        """Remembers statements, all or none; returns their numbers once they are on the disk."""
        if self._waiting and self._waiting + n_bytes > MOST_WAITING:
            message = "too much waits to be written; try again in a second"
            raise RequestError(503, message, {"retry-after": "1"})
        self._waiting += n_bytes
        try:
            return await asyncio.wrap_future(self._writer.write_many(user, statements))
        finally:
            self._waiting -= n_bytes

    async def erase(self, memory: UserMemory) -> Receipt:
        """Forgets a user, with what was sent before and still waits to be written."""
        await asyncio.wrap_future(self._writer.write_many(memory.name, []))
        return await asyncio.to_thread(memory.erase)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Forgets in time what has one, for as long as the server runs; then closes the memory."""
        watcher = asyncio.create_task(self._expire())
        try:
            yield
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            await asyncio.to_thread(self.close)

    async def _expire(self) -> None:
        while True:
            try:
                # it also clears bytes that a reader kept in the file when they were forgotten
                await asyncio.to_thread(expire, self.store)
            except Exception as error:  # a full disk passes, and then it must go on
                log_quietly("what is due could not be forgotten", error)
            await asyncio.sleep(EXPIRY_SECONDS)

    def close(self) -> None:
        """Writes what waits, and closes the file."""
        self._writer.close()
        self.store.close()


def refusal_of(error: Exception, request_id: str) -> RequestError:
    """What is answered where the memory raises; what the log has to know is logged.

    Neither the log nor an answer to somebody else ever holds what was said: of an error that was
    not foreseen only its kind and place are logged.
    """
    if isinstance(error, DataError) and not isinstance(error, DamagedError):
        return RequestError(422, str(error))
    if isinstance(error, CapacityError):
        LOG.error("request %s: %s", request_id, error)
        if isinstance(error, BusyError):
            message = "another process has been writing for long; nothing of this was kept"
            return RequestError(503, f"{message}; try again", {"retry-after": "1"})
        message = "the disk of the memory is full or cannot be written: nothing of this was kept"
        return RequestError(507, f"{message}, everything before was; try again later")
    log_quietly(f"request {request_id} failed", error)
    return RequestError(500, "the server failed; its log says where, under this request id")
