"""What is in MemDaily? The data of MemSim (Zhang et al., 2024, arXiv 2409.20163) as trajectories.

It is rebuilt from the 26 part files of the authors' repository as their own script does: the first
question of each trajectory, without those whose question or answer failed. The data has no licence,
so none of it comes with the library.
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

SOURCE = "MemDaily"
KINDS = ("simple", "conditional", "comparative", "aggregative", "post_processing", "noisy")
PART = re.compile(rf"0[1-6]_({'|'.join(KINDS)})_([a-z]+)\.json")
N_PARTS = 26
SUFFIX = re.compile(r"\(消息地点 .*, 消息时间 .*\)$")
CLOCK = re.compile(r"(\d+)年(\d+)月(\d+)日 周. (\d+):(\d+)")
FAILED = ("[ERRORQ]", "[ERRORA]")


def load(folder: Path) -> Iterator[Trajectory]:
    """Yields the trajectories in the order of the published file; each has one question.

    A message's text ends with its place and time, as in MemSim's own benchmark. The clock has no
    zone and is read as UTC. A question that is clocked before the last message is asked with it.

    Raises:
        DataError: when a part is missing, or is no part of MemDaily.
    """
    parts = sorted(path for path in folder.glob("*.json") if PART.fullmatch(path.name))
    if len(parts) != N_PARTS:
        raise DataError(
            f"{folder} has {len(parts)} parts of MemDaily, expected {N_PARTS}: the folder "
            "messages_and_QAs of the repository nuster1128/MemSim"
        )
    for path in parts:
        match = PART.fullmatch(path.name)
        assert match is not None
        kind, scope = match.groups()
        try:
            rows = [row for row in orjson.loads(path.read_bytes()) if not _failed(row)]
            yield from (_trajectory(row, kind, scope, n) for n, row in enumerate(rows))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"{path.name} is no part of MemDaily: {error!r}") from error


def _failed(row: dict[str, Any]) -> bool:
    asked = row["question_list"][0]
    return asked["question"] == FAILED[0] or asked["answer"] == FAILED[1]


def _trajectory(row: dict[str, Any], kind: str, scope: str, number: int) -> Trajectory:
    user = f"{kind}-{scope}-{number:03d}"
    messages = tuple(
        Message(
            f"{user}/{said['mid']}",
            _ms(said["time"]),
            "user",
            f"{said['message']}(消息地点 {said['place']}, 消息时间 {said['time']})",
        )
        for said in row["message_list"]
    )
    asked = row["question_list"][0]
    clocked = _ms(asked["time"])
    question = Question(
        id=f"{user}/q",
        kind=kind,
        text=asked["question"],
        time=max(clocked, max(message.time for message in messages)),
        answer=asked["answer"],
        evidence=(frozenset(messages[at].id for at in asked["target_step_id"]),),
        options=tuple(asked["choices"][letter] for letter in "ABCD"),
        language="zh",
        meta={"scope": scope, "letter": asked["ground_truth"], "clocked": clocked},
    )
    return Trajectory(user, messages, (question,), SOURCE)


def _ms(clock: str) -> int:
    match = CLOCK.fullmatch(clock)
    if match is None:
        raise ValueError(f"{clock!r} is no time such as '2024年04月01日 周一 08:06'")
    return int(datetime(*map(int, match.groups()), tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def said(message: Message) -> str:
    """Returns what a message says, without its place and time.

    >>> said(Message("1", 0, "user", "我上司42岁。(消息地点 深圳, 消息时间 2024年)"))
    '我上司42岁。'
    """
    return SUFFIX.sub("", message.text)


def card(trajectories: Iterable[Trajectory]) -> dict[str, Any]:
    """Returns the counts by which one knows that the data is whole."""
    questions: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    scopes: Counter[str] = Counter()
    evidence: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    texts: set[str] = set()
    n_characters = 0
    for each in trajectories:
        (asked,) = each.questions
        questions[asked.kind] += 1
        messages[asked.kind] += len(each.messages)
        scopes[f"{asked.kind} {asked.meta['scope']}"] += 1
        evidence[f"{asked.kind} {len(asked.evidence[0])}"] += 1
        letters[asked.meta["letter"]] += 1
        words = [said(message) for message in each.messages]
        n_characters += sum(map(len, words))
        texts.update(words)
    return {
        "n_questions": dict(questions),
        "n_messages": dict(messages),
        "scopes": dict(scopes),
        "evidence_sizes": dict(evidence),
        "letters": dict(sorted(letters.items())),
        "n_distinct_messages": len(texts),
        "characters_a_message": n_characters / max(sum(messages.values()), 1),
    }
