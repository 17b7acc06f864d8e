"""Which memory is better? Every mechanism writes, reads and forgets the same, in one run.

Users come in groups that share one memory, so that what belongs to another can come back where
isolation fails. A line is kept for each user, and one for each group that was forgotten: the same
call goes on where a kill ended it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from etalage.artefact import append_line, whole_lines
from etalage.errors import DataError
from etalage.memory.benchmark.deletion import Residue, residue
from etalage.memory.benchmark.measures import KS, Row, judged
from etalage.memory.benchmark.mechanisms import Maker, Mechanism
from etalage.memory.benchmark.readers import ProgramReader, Reader, is_right
from etalage.memory.benchmark.report import Report
from etalage.memory.benchmark.stale import stale_answers
from etalage.memory.reminder import tokens
from etalage.memory.trajectory import Message, Question, Trajectory, to_line

GROUP = 32
"""Users of one memory."""


def run(
    trajectories: Iterable[Trajectory],
    makers: Mapping[str, Maker],
    lines: Path,
    *,
    reader: Reader | None = None,
    k: int = max(KS),
) -> Report:
    """Asks every question of every mechanism, and returns what came of it.

    Args:
        trajectories: read once, a group at a time.
        makers: of the mechanisms, by name; see `mechanisms.maker`.
        lines: file of JSON lines to which each user's rows are added as they come. What stands
            there of the same mechanism, user and text is not asked again.
        reader: answers from what came back; by default the program reader, which leaves questions
            without a program unanswered.
        k: messages that are asked for.

    Raises:
        DataError: for k < 10, which leaves measures without what they are of, or two users of one
            name.
    """
    if k < max(KS):
        raise DataError(f"k must be at least {max(KS)}, the widest cut-off; got {k}")
    reader = reader or ProgramReader()
    known = {line["key"]: line for _, line in whole_lines(lines)}
    kept: list[dict[str, Any]] = []
    for group in _groups(trajectories):
        for name, make in makers.items():
            keys = [_key(name, k, reader, each) for each in group]
            if not all(key in known for key in keys):
                for line in _asked(name, make, group, reader, k):
                    line["key"] = keys[line.pop("place")]
                    append_line(lines, line)
                    known[line["key"]] = line
            kept += [known[key] for key in keys]
    return Report.of_lines(kept)


def _groups(trajectories: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    stream, seen = iter(trajectories), set[str]()
    while group := list(islice(stream, GROUP)):
        for each in group:
            if each.user in seen:
                raise DataError(f"two trajectories are of user {each.user!r}; name them apart")
            seen.add(each.user)
        yield group


def _key(name: str, k: int, reader: Reader, trajectory: Trajectory) -> str:
    said = f"{name} {k} {type(reader).__name__} ".encode() + to_line(trajectory)
    return hashlib.sha256(said).hexdigest()[:16]


@dataclass
class _Cost:
    """CPU seconds by user."""

    write_s: dict[str, float]
    n_written: dict[str, int]


def _asked(
    name: str, make: Maker, group: Sequence[Trajectory], reader: Reader, k: int
) -> Iterator[dict[str, Any]]:
    """Yields a line a user, once all of the group are asked."""
    texts = {message.id: message for each in group for message in each.messages}
    cost = _Cost({each.user: 0.0 for each in group}, {each.user: 0 for each in group})
    rows: dict[str, list[Row]] = {each.user: [] for each in group}
    with TemporaryDirectory() as folder:
        mechanism = make(Path(folder))
        try:
            for batch in _rounds(group):
                for each, messages, _ in batch:
                    _write(mechanism, each.user, messages, cost)
                for each, _, question in batch:
                    if question is not None:
                        rows[each.user].append(
                            _row(name, mechanism, each, question, reader, k, texts)
                        )
            gone = residue(mechanism, group, Path(folder), k)
        finally:
            mechanism.close()
    for place, each in enumerate(group):
        yield {
            "place": place,
            "mechanism": name,
            "source": each.source,
            "user": each.user,
            "n_messages": cost.n_written[each.user],
            "write_us": 1e6 * cost.write_s[each.user] / max(cost.n_written[each.user], 1),
            "residue": (gone if place == 0 else Residue()).to_dict(),
            "rows": [row.to_dict() for row in rows[each.user]],
        }


Batch = list[tuple[Trajectory, Sequence[Message], Question | None]]


def _rounds(group: Sequence[Trajectory]) -> Iterator[Batch]:
    """Yields what each user says up to their next question, and that question; so a question is
    asked of a memory that holds what was said before it, of this user and of others."""
    questions = [sorted(each.questions, key=lambda asked: asked.time) for each in group]
    written = [0] * len(group)
    for n in range(max(map(len, questions), default=0)):
        batch: Batch = []
        for at, each in enumerate(group):
            if n >= len(questions[at]):
                continue
            asked = questions[at][n]
            until = written[at]
            while until < len(each.messages) and each.messages[until].time <= asked.time:
                until += 1
            batch.append((each, each.messages[written[at] : until], asked))
            written[at] = until
        yield batch


def _write(mechanism: Mechanism, user: str, messages: Sequence[Message], cost: _Cost) -> None:
    if messages:
        before = mechanism.cpu_s()
        mechanism.write(user, messages)
        cost.write_s[user] += mechanism.cpu_s() - before
        cost.n_written[user] += len(messages)


def _row(
    name: str,
    mechanism: Mechanism,
    trajectory: Trajectory,
    question: Question,
    reader: Reader,
    k: int,
    texts: Mapping[str, Message],
) -> Row:
    before = mechanism.cpu_s()
    found = mechanism.read(trajectory.user, question, k)
    took = mechanism.cpu_s() - before
    own = {message.id for message in trajectory.messages}
    messages = [texts[message] for message in found if message in texts]
    parts: dict[str, Any] = dict.fromkeys(("is_right", "abstained", "is_stale"))
    if reader.reads(question):
        given = reader.answer(question, messages)
        old = stale_answers(trajectory, question)
        parts = {
            "is_right": is_right(question, given),
            "abstained": given is None,
            "is_stale": given in old if old else None,
        }
    return Row(
        mechanism=name,
        user=trajectory.user,
        question=question.id,
        kind=question.kind,
        must_abstain=question.answer is None,
        n_foreign=sum(message not in own for message in found),
        n_tokens=sum(tokens(message.text) for message in messages),
        read_us=1e6 * took,
        **judged(question, found),
        **parts,
    )
