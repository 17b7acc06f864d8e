"""Is every answer right? An independent check of trajectories, by the text of what was said.

It reads messages and questions by the inverses of the templates and works everything out again:
ids, times, facts, programs, answers, evidence and options. Stored facts are only compared with what
was read. Records from elsewhere, without facts or programs, are checked as far as they go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from etalage.memory.simulate.evidence import flaws_of
from etalage.memory.simulate.programs import Knowledge, run
from etalage.memory.simulate.questions import TOLD_IN_TEXT
from etalage.memory.simulate.reading import facts_of, program_of
from etalage.memory.simulate.schema import network
from etalage.memory.trajectory import Fact, Message, Question, Trajectory

OPERATIONS = {
    "simple": ("get",), "conditional": ("get",), "comparative": ("compare", "extreme"),
    "aggregative": ("count", "sum"), "post_processing": ("apply",), "noisy": ("get",),
    "update": ("get",), "as_of": ("as_of",), "retraction": ("get",), "abstain": ("get",),
    "preference": ("only", "holds"), "cross_user": ("get",),
}  # fmt: skip
"""What a program of each kind does last."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong."""

    user: str
    where: str
    """Id of the message or the question."""
    kind: str
    detail: str


class Checker:
    """Checks trajectories one by one, and remembers whose the numbers are that nobody shares."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}

    def check(self, trajectory: Trajectory) -> list[Fault]:
        """Returns all faults of a trajectory; an empty list where it is right."""
        is_ours = any(message.facts for message in trajectory.messages)
        faults = list(self._messages(trajectory, is_ours))
        knowledge = Knowledge()
        if is_ours:
            read: dict[str, list[Fact]] = {}
            for message in trajectory.messages:
                if message.speaker == "user":
                    read[message.id] = facts_of(message.text, message.time)
                faults += self._facts(trajectory.user, message, read.get(message.id, []), knowledge)
        ids = {message.id: message.time for message in trajectory.messages}
        asked: set[str] = set()
        for question in trajectory.questions:
            for kind, detail in _question(question, ids, knowledge):
                faults.append(Fault(trajectory.user, question.id, kind, detail))
            if question.id in asked or question.id in ids:
                faults.append(Fault(trajectory.user, question.id, "id", "the id is used twice"))
            asked.add(question.id)
        return faults

    def _messages(self, trajectory: Trajectory, is_ours: bool) -> Iterator[Fault]:
        seen: set[str] = set()
        before = None
        for message in trajectory.messages:
            if message.id in seen:
                yield Fault(trajectory.user, message.id, "id", "the id is used twice")
            seen.add(message.id)
            if is_ours and not message.id.startswith(f"{trajectory.user}-"):
                yield Fault(trajectory.user, message.id, "foreign", "another user's message")
            if before is not None and message.time <= before:
                yield Fault(trajectory.user, message.id, "time", "not after the message before it")
            before = message.time

    def _facts(
        self, user: str, message: Message, read: list[Fact], knowledge: Knowledge
    ) -> Iterator[Fault]:
        """What a message says against what stands beside it, and against what was said before."""
        if tuple(read) != message.facts:
            yield Fault(user, message.id, "facts", f"the text says {read}, not {message.facts}")
        for fact in read:
            known = knowledge.value((fact.entity, fact.attribute), message.time)
            wrong = {
                "state": known is not None and known != fact.value,
                "correct": known is None or known == fact.value,
                "retract": known is None,
            }
            if wrong[fact.act]:
                yield Fault(user, message.id, "contradiction", f"{fact}, where {known!r} was known")
            if fact.value is not None and network().attribute(fact.entity, fact.attribute).unique:
                owner = self.owners.setdefault(f"{fact.attribute} {fact.value}", user)
                if owner != user:
                    yield Fault(user, message.id, "foreign", f"{fact.value} belongs to {owner}")
        knowledge.add(read, message.time, message.id)


def check(trajectories: Iterable[Trajectory]) -> Iterator[Fault]:
    """Yields all faults of trajectories, as they come."""
    checker = Checker()
    for trajectory in trajectories:
        yield from checker.check(trajectory)


def _question(
    question: Question, ids: dict[str, int], knowledge: Knowledge
) -> Iterator[tuple[str, str]]:
    """Kinds and details of what is wrong with a question."""
    yield from _options(question)
    for chosen in question.evidence:
        for one in chosen:
            if one not in ids:
                yield "evidence", f"there is no message {one}"
            elif ids[one] >= question.time:
                yield "time", f"asked before {one} was said"
    if question.program is None:
        return
    if not _is_kind(question, knowledge):
        yield "kind", f"{question.program['ask']} is no question of kind {question.kind}"
    if program_of(question.text) != question.program:
        yield "question", f"{question.text!r} does not ask {question.program}"
    found = run(question.program, knowledge, question.time)
    if found != question.answer:
        yield "answer", f"it is {found!r}, not {question.answer!r}"
        return
    yield from _evidence(question, knowledge)
    op = question.program["ask"]["op"]
    if question.answer and op in TOLD_IN_TEXT and question.answer in question.text:
        yield "told", "the question says its answer"


def _is_kind(question: Question, knowledge: Knowledge) -> bool:
    """Whether a program is what its kind says: what changed, was taken back or never told, too."""
    assert question.program is not None
    ask = question.program["ask"]
    if question.kind not in OPERATIONS or ask["op"] not in OPERATIONS[question.kind]:
        return False
    if ask["op"] != "get":
        return True
    of = ask["of"]
    if question.kind in ("conditional", "noisy") or not isinstance(of, str):
        return question.kind in ("conditional", "noisy") and not isinstance(of, str)
    said = [value for _, _, value in knowledge.said.get((of, ask["attribute"]), ())]
    values = set(said)
    return {
        "simple": len(values) == 1 and None not in values,
        "update": len(values) > 1 and None not in values,
        "retraction": len(values) > 1 and said[-1] is None,
        "abstain": not said,
        "cross_user": not said,
    }[question.kind]


def _evidence(question: Question, knowledge: Knowledge) -> Iterator[tuple[str, str]]:
    assert question.program is not None
    if question.answer is not None and not question.evidence:
        yield "insufficient", "there is no evidence"
    if len(set(question.evidence)) < len(question.evidence):
        yield "evidence", "two alternatives are the same"
    yield from flaws_of(
        question.evidence, question.program, question.answer, knowledge, question.time
    )


def _options(question: Question) -> Iterator[tuple[str, str]]:
    if not question.options:
        return
    said = [option.strip().casefold() for option in question.options]
    if len(set(said)) < len(said):
        yield "options", "two options are the same"
    if question.answer is None or question.options.count(question.answer) != 1:
        yield "options", f"{question.answer!r} is not one of the options, once"
