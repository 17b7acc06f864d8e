"""What is asked of a language model, and what does it answer?

A key is the sha256 of everything an answer depends on, so that it can be kept under it for good.
Letters: N texts, D width.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from etalage.errors import RecipeError

KEY_VERSION = 1
"""Of the form of keys: another one, and no answer that is kept is found again."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen: at temperature 0 it is the likeliest.

    Raises:
        RecipeError: for a value that no model takes.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    """Only the likeliest tokens that make up this share are chosen from."""
    max_tokens: int = 300
    """An answer is cut after so many."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and 0 < self.top_p <= 1 and self.max_tokens >= 1):
            raise RecipeError(
                "expected temperature >= 0, 0 < top_p <= 1 and max_tokens >= 1; got temperature "
                f"{self.temperature}, top_p {self.top_p}, max_tokens {self.max_tokens}"
            )


@dataclass(frozen=True, slots=True)
class Request:
    """One question, about one thing."""

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    template: str = ""
    """Name and hash of the template that the messages were made from."""
    schema: str = ""
    """JSON schema that the answer must follow, as canonical JSON; '' for free text."""
    is_personal: bool = False
    """Whether it says what somebody did; such a question stays in the house unless allowed out."""

    def key(self, model: str) -> str:
        """Returns the key of the answer of a model, named with its revision: 64 hex digits."""
        sampling = asdict(self.sampling)
        sampling |= {name: float(sampling[name]) for name in ("temperature", "top_p")}
        said = {
            "version": KEY_VERSION,
            "template": self.template,
            "messages": [[message.role, message.content] for message in self.messages],
            "model": model,
            "sampling": sampling,
            "schema": self.schema,
        }
        return sha256(canonical(said).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written, as the model counts them."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt + other.prompt, self.completion + other.completion)


@dataclass(frozen=True, slots=True)
class Result:
    """An answer."""

    request: Request
    text: str
    finish_reason: str
    """As the model says it: "stop", or "length" where the answer was cut."""
    usage: Usage | None
    """None where the server does not count."""
    model: str
    """The model that answered, by its own account."""
    seconds: float
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer that could be used, and why."""

    request: Request
    reason: str
    tries: int = 1
    usage: Usage | None = None
    """Tokens that were counted all the same."""


Outcomes = Generator[Result | Failure, None, None]


class LanguageModel(Protocol):
    """Anything that answers: a folder with weights, or a server."""

    @property
    def name(self) -> str:
        """Names what answers, its revision included: a part of every key."""

    def generate(self, requests: Iterable[Request]) -> Outcomes:
        """Yields one outcome a request, in any order; takes requests only as it needs them, and
        ends what is under way when it is closed.

        Raises:
            AnswerError: when nothing more can be asked; every answer there was came before.
        """

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D), as the model gives them."""


def named(model: str, revision: str = "") -> str:
    """Returns the name of a model with its revision, as keys have it.

    >>> named("qwen3", "2026-05")
    'qwen3@2026-05'
    """
    return f"{model}@{revision}" if revision else model


def canonical(value: Any) -> str:
    """Returns JSON that is the same text for equal values.

    >>> canonical({"b": 1, "a": "é"})
    '{"a":"\\\\u00e9","b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
