"""What is compared? Memories behind one protocol: what is written, and what a question brings back.

Some are no memories but bounds: `oracle` returns what was to be found, `full` all there is, `none`
nothing, `recent` the last, `noisy` the last of what was not to be found.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from etalage.errors import DataError, did_you_mean
from etalage.language.encoder import Encoder
from etalage.language.ngrams import NgramEncoder
from etalage.memory.benchmark.lexical import BM25, characters, words
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.trajectory import Message, Question


class Mechanism(Protocol):
    """A memory of several users; each call names whose."""

    def write(self, user: str, messages: Sequence[Message]) -> None:
        """Takes in what a user said, oldest first; later calls bring later messages."""

    def read(self, user: str, question: Question, k: int) -> list[str]:
        """Returns ids of at most k messages, best first. A memory looks at the text and the time
        of a question only; bounds may look at its evidence, and return more."""

    def forget(self, user: str, messages: Sequence[str]) -> None:
        """Forgets messages, by their ids."""

    def cpu_s(self) -> float:
        """CPU seconds since some moment, of whatever does the work."""

    def close(self) -> None:
        """Ends it; the folder it was given is deleted afterwards."""


Maker = Callable[[Path], Mechanism]
"""Makes a memory that knows nobody, whose files lie in an empty folder."""


class Kept:
    """Messages in lists, by user: what the simple mechanisms share."""

    def __init__(self) -> None:
        self.messages: dict[str, list[Message]] = defaultdict(list)

    def write(self, user: str, messages: Sequence[Message]) -> None:
        self.messages[user] += messages

    def forget(self, user: str, messages: Sequence[str]) -> None:
        gone = set(messages)
        self.messages[user] = [each for each in self.messages[user] if each.id not in gone]

    def cpu_s(self) -> float:
        return time.process_time()

    def close(self) -> None:
        self.messages.clear()


class Nothing(Kept):
    """No memory."""

    def read(self, user: str, question: Question, k: int) -> list[str]:
        return []


class Everything(Kept):
    """All messages, oldest first, however many were asked for."""

    def read(self, user: str, question: Question, k: int) -> list[str]:
        return [message.id for message in self.messages[user]]


class Recent(Kept):
    """The k last messages, the last first."""

    def read(self, user: str, question: Question, k: int) -> list[str]:
        return [message.id for message in self.messages[user][: -k - 1 : -1]]


class Oracle(Kept):
    """The evidence and nothing else: as good as any memory can be. All of it, which may be more
    than k; what was forgotten cannot be found."""

    def read(self, user: str, question: Question, k: int) -> list[str]:
        wanted = _evidence(question)
        return [message.id for message in self.messages[user] if message.id in wanted]


class Noisy(Kept):
    """The k last messages that are no evidence: as bad as a memory can be."""

    def read(self, user: str, question: Question, k: int) -> list[str]:
        wanted = set().union(*question.evidence)
        others = [each.id for each in self.messages[user] if each.id not in wanted]
        return others[: -k - 1 : -1]


def _evidence(question: Question) -> frozenset[str]:
    return min(question.evidence, key=lambda ids: (len(ids), sorted(ids)), default=frozenset())


class Lexical(Kept):
    """BM25 alone."""

    def __init__(self, parts: Callable[[str], list[str]]) -> None:
        super().__init__()
        self._indices: dict[str, BM25] = defaultdict(lambda: BM25(parts))

    def write(self, user: str, messages: Sequence[Message]) -> None:
        for message in messages:
            self._indices[user].add(message.id, message.text)

    def read(self, user: str, question: Question, k: int) -> list[str]:
        return self._indices[user].best(question.text, k)

    def forget(self, user: str, messages: Sequence[str]) -> None:
        self._indices[user].remove(set(messages))


class Dense(Kept):
    """The vectors of an encoder alone."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self._encoder = encoder
        self._vectors: dict[str, np.ndarray] = {}

    def write(self, user: str, messages: Sequence[Message]) -> None:
        super().write(user, messages)
        fresh = self._encoder.encode([message.text for message in messages])
        old = self._vectors.get(user)
        self._vectors[user] = fresh if old is None else np.concatenate([old, fresh])

    def read(self, user: str, question: Question, k: int) -> list[str]:
        if not self.messages[user]:
            return []
        near = self._vectors[user] @ self._encoder.encode([question.text])[0]
        order = np.argsort(-near, kind="stable")[:k]
        return [self.messages[user][at].id for at in order.tolist()]

    def forget(self, user: str, messages: Sequence[str]) -> None:
        gone = set(messages)
        stays = [each.id not in gone for each in self.messages[user]]
        self._vectors[user] = self._vectors[user][np.array(stays, bool)]
        super().forget(user, messages)


class Store:
    """The memory of this library, by what it offers to everybody."""

    def __init__(self, folder: Path, encoder: Encoder | None = None) -> None:
        self._now = 0
        self._store = MemoryStore(folder / "memory.sqlite", encoder, clock=lambda: self._now)
        self._ids: dict[str, dict[int, str]] = defaultdict(dict)

    def write(self, user: str, messages: Sequence[Message]) -> None:
        self._now = max(self._now, *(message.time for message in messages))
        numbers = self._store.user(user).write_many(
            [Statement(each.text, source=each.speaker, said_at=each.time) for each in messages]
        )
        for number, message in zip(numbers, messages, strict=True):
            self._ids[user].setdefault(number, message.id)

    def read(self, user: str, question: Question, k: int) -> list[str]:
        found = self._store.user(user).read(question.text, k, as_of=question.time)
        return [self._ids[user][hit.number] for hit in found]

    def forget(self, user: str, messages: Sequence[str]) -> None:
        gone = set(messages)
        numbers = [number for number, name in self._ids[user].items() if name in gone]
        self._store.user(user).forget(*numbers)

    def cpu_s(self) -> float:
        return time.process_time()

    def close(self) -> None:
        self._store.close()


def maker(name: str, encoder: Encoder | None = None) -> Maker:
    """Returns what makes a mechanism of NAMES.

    Args:
        name: of the mechanism.
        encoder: of `encoder` and `etalage`; hashed n-grams by default.

    Raises:
        DataError: for a name that is none.
    """
    simple: dict[str, Callable[[], Mechanism]] = {
        "none": Nothing,
        "oracle": Oracle,
        "recent": Recent,
        "full": Everything,
        "noisy": Noisy,
        "words": lambda: Lexical(words),
        "characters": lambda: Lexical(characters),
        "encoder": lambda: Dense(encoder or NgramEncoder()),
    }
    if name == "etalage":
        return lambda folder: Store(folder, encoder)
    if name not in simple:
        raise DataError(
            f"there is no mechanism {name!r}{did_you_mean(name, NAMES)}; there are "
            f"{', '.join(NAMES)}"
        )
    return lambda folder: simple[name]()


ENCODED = ("encoder", "etalage")
"""Those that have an encoder."""
NAMES = ("none", "noisy", "recent", "full", "oracle", "words", "characters", "encoder", "etalage")
