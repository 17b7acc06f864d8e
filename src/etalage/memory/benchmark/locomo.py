"""What is in LoCoMo? Ten long conversations of two people (Maharana et al., arXiv 2402.17753).

A turn's text begins with the name of who speaks, and ends with the caption of the picture that was
shown, if any: one memory holds the words of both. The data is CC BY-NC 4.0, so none of it comes
with the library.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from etalage.errors import DataError
from etalage.memory.trajectory import Message, Question, Trajectory

SOURCE = "LoCoMo"
KINDS = ("multi_hop", "temporal", "open_domain", "single_hop", "adversarial")
"""Categories 1 to 5; the last asks for what was never said."""
CLOCK = "%I:%M %p on %d %B, %Y"
TURN_MS = 60_000
"""Turns have no time of their own: a minute each, from the beginning of the session."""


def load(path: Path) -> Iterator[Trajectory]:
    """Yields one trajectory a conversation.

    Evidence that names no turn is left out of a question, and kept in its notes as `unknown`.

    Raises:
        DataError: when the file is not there, or is no LoCoMo.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}; expected locomo10.json of snap-research/LoCoMo")
    try:
        for row in orjson.loads(path.read_bytes()):
            yield _trajectory(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path.name} is no LoCoMo: {error!r}") from error


def _trajectory(row: dict[str, Any]) -> Trajectory:
    user, said = row["sample_id"], row["conversation"]
    messages: list[Message] = []
    for name in sorted(filter(re.compile(r"session_\d+").fullmatch, said), key=_number):
        began = datetime.strptime(said[f"{name}_date_time"], CLOCK).replace(tzinfo=UTC)
        start = int(began.timestamp() * 1000)
        messages += [
            Message(f"{user}/{turn['dia_id']}", start + n * TURN_MS, "user", _text(turn))
            for n, turn in enumerate(said[name])
        ]
    known = {message.id for message in messages}
    after = max(message.time for message in messages) + TURN_MS
    questions = tuple(_question(asked, user, n, known, after) for n, asked in enumerate(row["qa"]))
    return Trajectory(user, tuple(messages), questions, SOURCE)


def _number(session: str) -> int:
    return int(session.removeprefix("session_"))


def _text(turn: dict[str, str]) -> str:
    caption = turn.get("blip_caption")
    return f"{turn['speaker']}: {turn['text']}" + (f" {caption}" if caption else "")


def _question(asked: dict[str, Any], user: str, n: int, known: set[str], time: int) -> Question:
    cited = [f"{user}/{turn}" for turn in asked["evidence"]]
    evidence = frozenset(known.intersection(cited))
    answer = asked.get("answer")
    return Question(
        id=f"{user}/q{n}",
        kind=KINDS[asked["category"] - 1],
        text=asked["question"],
        time=time,
        answer=None if answer is None or asked["category"] == 5 else str(answer),
        evidence=(evidence,) if evidence else (),
        meta={"unknown": [turn for turn in cited if turn not in known], "n_cited": len(cited)},
    )


def card(trajectories: Iterable[Trajectory]) -> dict[str, Any]:
    """Returns the counts by which one knows that the data is whole."""
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for each in trajectories:
        counts["n_conversations"] += 1
        counts["n_turns"] += len(each.messages)
        sessions = {message.id.partition(":")[0] for message in each.messages}
        counts["n_sessions"] += len(sessions)
        for asked in each.questions:
            kinds[asked.kind] += 1
            counts["n_questions"] += 1
            counts["n_unknown_evidence"] += len(asked.meta["unknown"])
            counts["n_without_evidence"] += not asked.meta["n_cited"]
            counts["n_judged"] += bool(asked.evidence)
    return dict(counts) | {"kinds": dict(kinds)}
