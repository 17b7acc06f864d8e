"""What was said, and what is asked about it? The records that simulator and benchmark share.

A file of trajectories has one JSON object a line, one line a user; it is read and written line by
line, so that its length costs no memory. Times are int64 milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from etalage.errors import DataError

Value = str | int
Act = Literal["state", "correct", "retract"]


@dataclass(frozen=True, slots=True)
class Fact:
    """What one message says of one attribute of one entity; None where it takes it back."""

    entity: str
    attribute: str
    value: Value | None
    act: Act = "state"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    id: str
    time: int
    speaker: Literal["user", "assistant"]
    text: str
    facts: tuple[Fact, ...] = ()
    """What it says, where that is known; what only mentions facts of others has none."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about what was said before its time, and what a right answer rests on."""

    id: str
    kind: str
    text: str
    time: int
    answer: str | None
    """None where the right thing is to say that it was never told, or is to be forgotten."""
    aliases: tuple[str, ...] = ()
    """Other ways to say the answer."""
    evidence: tuple[frozenset[str], ...] = ()
    """Alternatives: each is a smallest set of message ids that is enough to answer."""
    options: tuple[str, ...] = ()
    """Choices, the answer among them once; empty where there are none."""
    language: str = "en"
    program: dict[str, Any] | None = None
    """How the answer follows from facts, as `simulate.reading.answer` runs it."""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """All that one user said, oldest first, and the questions about it."""

    user: str
    messages: tuple[Message, ...]
    questions: tuple[Question, ...]
    source: str


def to_line(trajectory: Trajectory) -> bytes:
    """Returns one line of JSON, without its end; equal trajectories are equal bytes."""
    return orjson.dumps(trajectory, default=sorted)


def from_line(line: bytes | str) -> Trajectory:
    """Returns the trajectory of one line.

    >>> one = Trajectory("u1", (Message("m1", 0, "user", "Hello."),), (), "by hand")
    >>> from_line(to_line(one)) == one
    True

    Raises:
        DataError: when the line is no trajectory.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"expected one JSON object a line; {error}") from error
    try:
        messages = tuple(_message(given) for given in row.pop("messages"))
        questions = tuple(_question(given) for given in row.pop("questions"))
        return Trajectory(messages=messages, questions=questions, **row)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"not a trajectory ({error}); expected user, messages, questions and source, with the "
            "fields of etalage.memory.trajectory"
        ) from error


def write(path: Path, trajectories: Iterable[Trajectory]) -> int:
    """Writes a line for each trajectory as it comes; returns how many there were."""
    n = 0
    with path.open("wb") as file:
        for trajectory in trajectories:
            file.write(to_line(trajectory) + b"\n")
            n += 1
    return n


def load(path: Path) -> Iterator[Trajectory]:
    """Yields the trajectories of a file, one line at a time.

    Raises:
        DataError: when the file is not there, or a line is no trajectory.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}; expected JSON lines, one trajectory each")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield from_line(line)
            except DataError as error:
                raise DataError(f"{path.name}, line {number}: {error}") from error


def _message(row: dict[str, Any]) -> Message:
    row["facts"] = tuple(Fact(**fact) for fact in row.get("facts", ()))
    return Message(**row)


def _question(row: dict[str, Any]) -> Question:
    for name in ("aliases", "options"):
        row[name] = tuple(row.get(name, ()))
    row["evidence"] = tuple(frozenset(ids) for ids in row.get("evidence", ()))
    return Question(**row)
