"""What does a model on a server answer? Any server that speaks OpenAI's protocol.

Letters: N texts, D width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from threading import Event
from time import monotonic
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from etalage.errors import AnswerError, RecipeError
from etalage.language.chat import CHAT, EMBEDDINGS, chat_body, read_chat
from etalage.language.pace import MOST_TRIES, Pace, backoff_s, concurrently
from etalage.language.request import Failure, Outcomes, Request, Result, named
from etalage.language.texts import readable
from etalage.language.wire import Trouble, Wire

LONGEST_WAIT_S = 600.0
"""A server that asks to wait longer is left, and the job goes on another time."""
TEXTS_AT_ONCE = 64
"""Texts of a call for vectors."""

Read = TypeVar("Read")


class RemoteModel:
    """A model behind HTTP, asked as much at once as its server bears.

    A call that fails is tried up to five times, after waits that double; what is refused, or is
    still without an answer then, is a `Failure`. A server that was never met, or that lets nobody
    in, ends the run at once.

    Args:
        base_url: "http://127.0.0.1:8000", or "https://HOST", with or without `/v1`.
        model: the model's name on that server.
        revision: names its version where the server's name does not; a part of every key.
        api_key_env: name of the environment variable that holds the key.
        deadline_s: seconds a call may take.
        most_at_once: calls that may ever run at a time.
        may_leave: whether what people did may be sent to another machine than this.

    Raises:
        RecipeError: for an address that is none, or a variable that is not set.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        revision: str = "",
        *,
        api_key_env: str | None = None,
        deadline_s: float = 120.0,
        most_at_once: int = 64,
        may_leave: bool = False,
    ) -> None:
        if most_at_once < 1 or not deadline_s > 0:
            raise RecipeError(
                f"expected most_at_once >= 1 and deadline_s > 0; got {most_at_once}, {deadline_s}"
            )
        self.model = model
        self.name = named(model, revision)
        self.may_leave = may_leave
        self._wire = Wire(base_url, api_key_env, deadline_s)
        self._most = most_at_once
        self._random = Random()
        self._was_met = self._has_answered = False
        self.pace = Pace(most_at_once)
        """How much is asked at once now."""

    def generate(self, requests: Iterable[Request]) -> Outcomes:
        """Yields one outcome a request, as they come.

        Raises:
            AnswerError: when the server cannot be reached, or refuses everything.
            RecipeError: when what somebody did would leave this machine, and may not.
        """
        yield from self._all(self._answer, map(self._allowed, requests))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D), as the server gives them.

        Raises:
            AnswerError: when the server gives no vectors, or not as many.
        """
        texts = readable(texts)
        starts = range(0, len(texts), TEXTS_AT_ONCE)

        def embedded(start: int, stop: Event) -> tuple[int, NDArray[np.float32]]:
            part = texts[start : start + TEXTS_AT_ONCE]
            found = self._tried(
                EMBEDDINGS,
                {"model": self.model, "input": part},
                lambda body, _: _vectors(body, len(part)),
                stop,
            )
            if isinstance(found, _GaveUp):
                raise AnswerError(
                    f"{self._wire.where} gives no vectors of {self.model}: {found.reason}"
                )
            return start, found

        parts = dict(self._all(embedded, starts))
        widths = {part.shape[1] for part in parts.values()}
        if len(widths) > 1:
            raise AnswerError(f"{self.model} gives vectors of several widths: {sorted(widths)}")
        return np.concatenate([parts[at] for at in starts]) if parts else np.zeros((0, 0), "f4")

    def _allowed(self, request: Request) -> Request:
        if request.is_personal and not (self._wire.is_here or self.may_leave):
            raise RecipeError(
                f"{self._wire.where} is another machine, and this request says what a person did; "
                "say that it may be sent there (may_leave=True, --set may_leave=true), or use a "
                "model here"
            )
        return request

    def _all(self, work: Callable[[Any, Event], Read], tasks: Iterable[Any]) -> Iterator[Read]:
        try:
            yield from concurrently(work, tasks, self.pace, self._most)
        finally:
            self._wire.hang_up()

    def _answer(self, request: Request, stop: Event) -> Result | Failure:
        began = monotonic()
        found = self._tried(
            CHAT,
            chat_body(request, self.model),
            lambda body, tries: read_chat(request, body, monotonic() - began, tries),
            stop,
        )
        if isinstance(found, _GaveUp):
            return Failure(request, found.reason, found.tries)
        return found

    def _tried(
        self,
        path: str,
        body: dict[str, Any],
        read: Callable[[dict[str, Any], int], Read],
        stop: Event,
    ) -> Read | _GaveUp:
        """Returns what is read, or why there is nothing, after as many tries as make sense."""
        content = json.dumps(body).encode()
        for tries in range(1, MOST_TRIES + 1):
            self.pace.hold(stop)
            if stop.is_set():
                break
            began = monotonic()
            try:
                found = read(self._wire.post(path, content), tries)
            except Trouble as trouble:
                if stop.is_set():
                    break
                delay = self._after(trouble, tries, began)
                if delay is None:
                    return _GaveUp(tries, trouble.reason)
                stop.wait(delay)
            else:
                self._was_met = self._has_answered = True
                self.pace.went_well()
                return found
        raise AnswerError(f"{self._wire.where} is not asked any more")

    def _after(self, trouble: Trouble, tries: int, began: float) -> float | None:
        """Seconds until the next try, None where there is none; AnswerError to end the run."""
        where = self._wire.where
        if trouble.kind == "unreachable":
            if not self._was_met or tries == MOST_TRIES:
                raise AnswerError(
                    f"cannot reach {where}: {trouble.reason}. Start the server, or correct its "
                    "address"
                )
        else:
            self._was_met = True
        is_barred = trouble.kind == "barred" and not self._has_answered
        if trouble.kind == "closed" or is_barred:
            raise AnswerError(
                f"{where} refuses to answer as {self.model}: {trouble.reason}. Check the model's "
                "name, the address, and the environment variable of the API key"
            )
        if trouble.wait_s is not None and trouble.wait_s > LONGEST_WAIT_S:
            raise AnswerError(
                f"{where} asks to come back in {trouble.wait_s / 60:,.0f} minutes: {trouble.reason}"
            )
        if trouble.kind == "busy":
            self.pace.overloaded(began)
        if trouble.kind in ("refused", "barred") or tries == MOST_TRIES:
            return None
        if trouble.wait_s is not None:
            self.pace.pause(trouble.wait_s)
        return (trouble.wait_s or 0.0) + backoff_s(tries, self._random)


class _GaveUp:
    def __init__(self, tries: int, reason: str) -> None:
        self.tries = tries
        self.reason = reason


def _vectors(body: dict[str, Any], n_texts: int) -> NDArray[np.float32]:
    try:
        rows = {int(row["index"]): row["embedding"] for row in body["data"]}
        found = np.array([rows[n] for n in range(n_texts)], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise Trouble("broken", "an answer that is no list of embeddings") from error
    if found.ndim != 2 or len(rows) != n_texts or not np.isfinite(found).all():
        raise Trouble("broken", f"{len(rows)} vectors for {n_texts} texts, or not all finite")
    return found
