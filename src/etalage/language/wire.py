"""What went wrong on the way to a server, and what does that mean for the next try?

Plain HTTP from the standard library: one POST of JSON, answered in JSON before a deadline.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from math import isfinite
from threading import Lock, local
from time import monotonic, time
from typing import Any, Literal
from urllib.parse import urlsplit

from etalage.errors import RecipeError

IDLE_S = 2.0
"""A connection that was not used for longer is opened anew: servers close idle ones unasked."""
CONNECT_S = 10.0
HERE = ("localhost", "127.0.0.1", "::1")


class Trouble(Exception):
    """A call without an answer.

    Kinds: "busy" (try later, and ask less at once), "broken" (try again), "refused" (this request
    will never be answered), "barred" (nor any other, where none was answered before), "closed" (nor
    any other) and "unreachable" (there is no server).
    """

    def __init__(
        self,
        kind: Literal["busy", "broken", "refused", "barred", "closed", "unreachable"],
        reason: str,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.wait_s = wait_s
        """What the server asks to wait; None where it does not say."""


class Wire:
    """A server that speaks JSON. Each thread has a connection of its own, which is kept open.

    Args:
        base_url: http or https; a path is kept, but for `/v1` at its end.
        api_key_env: name of the environment variable that holds the key; none is sent without.
        deadline_s: seconds a call may take from first to last byte.

    Raises:
        RecipeError: for another kind of address, or a variable that is not set.
    """

    def __init__(self, base_url: str, api_key_env: str | None, deadline_s: float) -> None:
        parts = urlsplit(base_url if isinstance(base_url, str) else "")
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise RecipeError(
                f"the address of a server is http://HOST:PORT or https://HOST; got "
                f"{parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()!r}. A key is "
                "given by the name of an environment variable, never in the address"
            )
        self.where = base_url.rstrip("/").removesuffix("/v1")
        self.is_here = parts.hostname in HERE
        """Whether the server is this machine."""
        self._parts = urlsplit(self.where)
        self._deadline_s = deadline_s
        self._key = _key(api_key_env) if api_key_env else ""
        self._own = local()
        self._open: set[HTTPConnection] = set()
        self._lock = Lock()

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """Returns the object that the server answers with.

        Raises:
            Trouble: when there is none.
        """
        ends = monotonic() + self._deadline_s
        connection = self._connected()
        is_kept = False
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            connection.sock.settimeout(max(ends - monotonic(), 0.001))
            connection.request("POST", self._parts.path + path, body, headers)
            response = connection.getresponse()
            content = _read(response, connection.sock, ends)
            is_kept = not response.will_close
        except TimeoutError:
            late = f"no answer within {self._deadline_s:g} s"
            raise Trouble("busy", late) from None
        except (HTTPException, OSError, AttributeError) as error:  # no socket: hung up meanwhile
            raise Trouble("broken", f"the connection broke: {_said(error)}") from error
        finally:
            if is_kept:
                self._own.used_at = monotonic()
            else:
                self._drop(connection)
        return self._understood(response, content)

    def hang_up(self) -> None:
        """Ends every call at once, whatever thread it runs in."""
        with self._lock:
            for connection in self._open:
                if connection.sock is not None:
                    with suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> HTTPConnection:
        kept: HTTPConnection | None = getattr(self._own, "connection", None)
        if kept is not None and kept.sock is not None:
            if monotonic() - self._own.used_at < IDLE_S:
                return kept
            self._drop(kept)
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        new = kind(
            str(self._parts.hostname), self._parts.port, timeout=min(CONNECT_S, self._deadline_s)
        )
        try:
            new.connect()
        except ssl.SSLCertVerificationError as error:
            raise Trouble("closed", f"its certificate is not accepted: {_said(error)}") from error
        except OSError as error:
            raise Trouble("unreachable", _said(error)) from error
        new.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._own.connection = new
        with self._lock:
            self._open.add(new)
        return new

    def _drop(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._open.discard(connection)
            connection.close()

    def _understood(self, response: HTTPResponse, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if response.status == 200:
            if not isinstance(found, dict):
                raise Trouble("broken", f"an answer that is no JSON object: {content[:80]!r}")
            return found
        reason = f"{response.status} {response.reason}: {self._message(found, content)}"
        wait_s = _wait_s(response.headers.get("Retry-After", ""))
        # a spent budget is told as too many requests, too, but no waiting helps
        if response.status in (401, 402) or b"insufficient_quota" in content:
            raise Trouble("closed", reason)
        if response.status in (403, 404):  # a wrong name, or a text that the host does not like
            raise Trouble("barred", reason)
        if response.status in (408, 429, 503):
            raise Trouble("busy", reason, wait_s)
        if response.status >= 500:
            raise Trouble("broken", reason, wait_s)
        raise Trouble("refused", reason)

    def _message(self, found: Any, content: bytes) -> str:
        said = found.get("error", found) if isinstance(found, dict) else None
        said = said.get("message", said) if isinstance(said, dict) else said
        text = said if isinstance(said, str) else content[:200].decode(errors="replace")
        return (text.replace(self._key, "***") if self._key else text)[:300]


def _read(response: HTTPResponse, sock: socket.socket, ends: float) -> bytes:
    """Reads to the end, however slowly it comes, but not beyond the deadline."""
    parts = []
    while True:
        left = ends - monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        part = response.read1(2**16)
        if not part:
            break
        parts.append(part)
    if response.length:  # read1 does not tell an end from a cut
        raise OSError(f"{response.length} bytes are missing at the end of the answer")
    response.close()  # the connection takes no further request before
    return b"".join(parts)


def _key(name: str) -> str:
    key = os.environ.get(name, "").strip()
    if not key:
        raise RecipeError(f"the environment variable {name} is not set; put the API key in it")
    if not key.isascii() or not key.isprintable():
        raise RecipeError(f"the environment variable {name} holds no API key that can be sent")
    return key


def _wait_s(said: str) -> float | None:
    """Seconds of a Retry-After header, which gives them or a date."""
    with suppress(ValueError):
        return max(float(said), 0.0) if isfinite(float(said)) else None
    with suppress(ValueError):
        return max(parsedate_to_datetime(said).timestamp() - time(), 0.0)
    return None


def _said(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__
