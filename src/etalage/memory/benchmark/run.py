"""Which memory is better? Every mechanism writes, reads and forgets the same, in one run.

Users come in groups that share one memory, so that what belongs to another can come back where
isolation fails. A line is kept for each user, and one for each group that was forgotten: the same
call goes on where a kill ended it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import track

from etalage import __version__
from etalage.artefact import append_line, whole_lines
from etalage.errors import DataError
from etalage.language.encoder import Encoder
from etalage.memory.benchmark.deletion import Residue, residue
from etalage.memory.benchmark.measures import KS, Row, judged
from etalage.memory.benchmark.mechanisms import ENCODED, Maker, Mechanism, maker
from etalage.memory.benchmark.readers import ProgramReader, Reader, Stale, is_right
from etalage.memory.benchmark.report import Report
from etalage.memory.benchmark.source import trajectories
from etalage.memory.reminder import tokens
from etalage.memory.trajectory import Message, Question, Trajectory, to_line

GROUP = 32
"""Users of one memory."""


def run(
    users: Iterable[Trajectory],
    makers: Mapping[str, Maker],
    lines: Path,
    *,
    reader: Reader | None = None,
    k: int = max(KS),
    progress: bool = False,
) -> Report:
    """Asks every question of every mechanism, and returns what came of it.

    Args:
        users: what each said and is asked; read once, a group at a time.
        makers: of the mechanisms, by name; see `mechanisms.maker`.
        lines: file of JSON lines to which each user's rows are added as they come. What stands
            there of the same mechanism, user, text and version of this library is not asked again.
        reader: answers from what came back; by default the program reader, which leaves questions
            without a program unanswered.
        k: messages that are asked for.
        progress: show on stderr how many users have been asked about.

    Raises:
        DataError: for k < 10, which leaves measures without what they are of, two users of one
            name, or an id that two messages of a group have.
    """
    if k < max(KS):
        raise DataError(f"k must be at least {max(KS)}, the widest cut-off; got {k}")
    reader = reader or ProgramReader()
    known = {line["key"]: line for _, line in whole_lines(lines)}
    kept: list[dict[str, Any]] = []
    counted = track(users, "users", disable=not progress, console=Console(stderr=True))
    for group in _groups(counted):
        parser = reader if isinstance(reader, ProgramReader) else ProgramReader()
        stale = {each.user: Stale(each.messages, parser) for each in group}
        for name, make in makers.items():
            keys = [_key(name, k, reader, each) for each in group]
            if not all(key in known for key in keys):
                for line in _asked(name, make, group, reader, stale, k):
                    line["key"] = keys[line.pop("place")]
                    append_line(lines, line)
                    known[line["key"]] = line
            kept += [known[key] for key in keys]
    return Report.of_lines(kept)


def bench(
    place: Path | None,
    mechanisms: Sequence[str],
    lines: Path,
    *,
    encoder: Encoder | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Compares mechanisms of `mechanisms.NAMES` on the conversations of a place.

    Args:
        place: see `source.trajectories`; None for simulated users.
        mechanisms: their names.
        lines: file of JSON lines that a run adds to, and that it goes on from.
        encoder: of those that have one; hashed n-grams by default.
        seed: of the simulator.
        progress: show on stderr how many users have been asked about.

    Raises:
        DataError: for a place or a name that is none.
    """
    makers = {name: maker(name, encoder) for name in mechanisms}
    label = "" if encoder is None else f" {_label(encoder)}"
    named = {f"{name}{label if name in ENCODED else ''}": make for name, make in makers.items()}
    return run(trajectories(place, seed), named, lines, progress=progress)


def _label(encoder: Encoder) -> str:
    """A name that is another for another encoder: rows are kept under it."""
    digest = hashlib.sha256(encoder.fingerprint.encode()).hexdigest()
    return f"{encoder.fingerprint.split()[0]} {digest[:6]}"


def _groups(users: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    stream, seen = iter(users), set[str]()
    while group := list(islice(stream, GROUP)):
        for each in group:
            if each.user in seen:
                raise DataError(f"two trajectories are of user {each.user!r}; name them apart")
            seen.add(each.user)
        ids = [message.id for each in group for message in each.messages]
        if len(set(ids)) < len(ids):
            raise DataError("several messages have one id; begin ids with the name of the user")
        yield group


def _key(name: str, k: int, reader: Reader, trajectory: Trajectory) -> str:
    said = f"{__version__} {name} {k} {reader.name} ".encode() + to_line(trajectory)
    return hashlib.sha256(said).hexdigest()[:16]


class _Asking:
    """One mechanism and one group of users who share it."""

    def __init__(
        self,
        name: str,
        mechanism: Mechanism,
        group: Sequence[Trajectory],
        reader: Reader,
        stale: Mapping[str, Stale],
        k: int,
    ) -> None:
        self._name, self._mechanism, self._reader, self._k = name, mechanism, reader, k
        self._texts = {message.id: message for each in group for message in each.messages}
        self._stale = stale
        self._own = {each.user: {said.id for said in each.messages} for each in group}
        self.write_s = dict.fromkeys(self._own, 0.0)
        self.n_written = dict.fromkeys(self._own, 0)
        self.rows: dict[str, list[Row]] = {each.user: [] for each in group}

    def write(self, user: str, messages: Sequence[Message]) -> None:
        """Has the mechanism take in messages."""
        if messages:
            before = self._mechanism.cpu_s()
            self._mechanism.write(user, messages)
            self.write_s[user] += self._mechanism.cpu_s() - before
            self.n_written[user] += len(messages)

    def ask(self, user: str, question: Question) -> None:
        """Adds the row of a question."""
        before = self._mechanism.cpu_s()
        found = self._mechanism.read(user, question, self._k)
        took = self._mechanism.cpu_s() - before
        messages = [self._texts[name] for name in found if name in self._texts]
        row = Row(
            mechanism=self._name,
            user=user,
            question=question.id,
            kind=question.kind,
            must_abstain=question.answer is None,
            n_foreign=sum(name not in self._own[user] for name in found),
            n_tokens=sum(tokens(message.text) for message in messages),
            read_us=1e6 * took,
            **judged(question, found),
            **self._answered(user, question, messages),
        )
        self.rows[user].append(row)

    def _answered(
        self, user: str, question: Question, messages: Sequence[Message]
    ) -> dict[str, bool | None]:
        if not self._reader.reads(question):
            return dict.fromkeys(("is_right", "abstained", "is_stale"))
        given = self._reader.answer(question, messages)
        old = self._stale[user].answers(question)
        return {
            "is_right": is_right(question, given),
            "abstained": given is None,
            "is_stale": given in old if old else None,
        }


def _asked(
    name: str,
    make: Maker,
    group: Sequence[Trajectory],
    reader: Reader,
    stale: Mapping[str, Stale],
    k: int,
) -> Iterator[dict[str, Any]]:
    """Yields a line a user, once all of the group are asked."""
    with TemporaryDirectory() as folder:
        mechanism = make(Path(folder))
        try:
            asking = _Asking(name, mechanism, group, reader, stale, k)
            for batch in _rounds(group):
                for user, messages, _ in batch:
                    asking.write(user, messages)
                for user, _, question in batch:
                    asking.ask(user, question)
            gone = residue(mechanism, group, Path(folder), k)
        finally:
            mechanism.close()
    for place, each in enumerate(group):
        n_written = asking.n_written[each.user]
        yield {
            "place": place,
            "mechanism": name,
            "source": each.source,
            "user": each.user,
            "n_messages": n_written,
            "write_us": 1e6 * asking.write_s[each.user] / max(n_written, 1),
            "residue": (gone if place == 0 else Residue()).to_dict(),
            "rows": [row.to_dict() for row in asking.rows[each.user]],
        }


def _rounds(group: Sequence[Trajectory]) -> Iterator[list[tuple[str, Sequence[Message], Question]]]:
    """Yields what each user says up to their next question, and that question; so a question is
    asked of a memory that holds what was said before it, of this user and of others."""
    questions = [sorted(each.questions, key=lambda asked: asked.time) for each in group]
    written = [0] * len(group)
    for n in range(max(map(len, questions), default=0)):
        batch: list[tuple[str, Sequence[Message], Question]] = []
        for at, each in enumerate(group):
            if n >= len(questions[at]):
                continue
            asked, until = questions[at][n], written[at]
            while until < len(each.messages) and each.messages[until].time <= asked.time:
                until += 1
            batch.append((each.user, each.messages[written[at] : until], asked))
            written[at] = until
        yield batch
