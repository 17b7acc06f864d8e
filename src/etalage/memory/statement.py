"""What is there to remember? One thing said or done, checked before anything is kept of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import orjson

from etalage.errors import DataError
from etalage.memory.facts import Fact, is_unicode

Kind = Literal["turn", "fact", "event"]
Source = Literal["user", "assistant", "shop"]
KINDS, SOURCES = get_args(Kind), get_args(Source)
MOST_CHARACTERS = 100_000
"""Of a text; a longer one is a document, which belongs cut into parts, or elsewhere."""
MARK = "[remembered]"
"""Begins every line that is shown to a language model as memory, so none is remembered again."""
DAY_MS = 86_400_000
LATEST = 2**53
"""No time is as late, in milliseconds: JSON's numbers end there."""
MOST_FACTS = 64
"""Of one memory."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A text with who said it and when.

    Raises:
        DataError: where it cannot be remembered, with the reason.
    """

    text: str
    kind: Kind = "turn"
    """A turn of a conversation, a fact that was stated outright, or what somebody did."""
    source: Source = "user"
    """Facts are looked for in what the user says, never in what an assistant says of them."""
    said_at: int | None = None
    """Milliseconds UTC; None: now."""
    until: int | None = None
    """Milliseconds UTC at which it is to be forgotten; None: never."""
    facts: tuple[Fact, ...] = ()
    """What it says, where that is known; otherwise the grammar looks for it."""
    meta: dict[str, Any] = field(default_factory=dict)
    """Anything JSON can hold, kept as it is."""
    key: str | None = None
    """Makes it the same statement when it is written again: it is then kept once."""

    def __post_init__(self) -> None:
        _check_text(self.text)
        if self.kind not in KINDS:
            raise DataError(f"a memory is one of {', '.join(KINDS)}; got kind {self.kind!r}")
        if self.source not in SOURCES:
            raise DataError(f"the source is one of {', '.join(SOURCES)}; got {self.source!r}")
        for name in ("said_at", "until"):
            value = getattr(self, name)
            if value is not None and not (type(value) is int and 0 <= value < LATEST):
                raise DataError(f"{name} must be milliseconds UTC since 1970; got {value!r}")
        if self.key is not None and not is_unicode(self.key):
            raise DataError(f"the key of a statement must be a text; got {self.key!a}")
        try:
            orjson.dumps(self.meta)
        except TypeError as error:
            raise DataError(f"meta must be what JSON can hold: {error}") from error


@dataclass(frozen=True, slots=True)
class Memory:
    """One thing that is remembered."""

    number: int
    text: str
    kind: Kind
    source: Source
    said_at: int
    recorded_at: int
    until: int | None
    meta: dict[str, Any]
    facts: tuple[Fact, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold."""
        return asdict(self)


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise DataError(f"a memory is a text; got {type(text).__name__}: decode bytes as UTF-8")
    if len(text) > MOST_CHARACTERS:
        raise DataError(
            f"the text has {len(text)} characters, at most {MOST_CHARACTERS} are remembered at "
            "once; cut it into parts"
        )
    if not text.strip():
        raise DataError("the text is empty; there is nothing to remember")
    if not is_unicode(text):
        raise DataError("the text is no valid Unicode, it has halves of characters: decode it anew")
    if MARK in text:
        raise DataError(f"the text holds {MARK!r}: it was recalled from memory, not said again")
