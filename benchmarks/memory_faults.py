"""Faults put into right trajectories, one each, for the check to find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from random import Random

from etalage.memory.simulate.questions import TOLD_IN_TEXT
from etalage.memory.simulate.schema import network
from etalage.memory.simulate.surface import surface
from etalage.memory.statement import DAY_MS
from etalage.memory.trajectory import Message, Question, Trajectory

WEEKS = ("next week", "week after next", "下周")


def planted(trajectories: Iterable[Trajectory], random: Random) -> Iterator[tuple[str, Trajectory]]:
    """Yields every trajectory with each kind of fault that it can have, and the kind's name."""
    before: Trajectory | None = None
    for trajectory in trajectories:
        for name, spoil in FAULTS.items():
            spoilt = spoil(trajectory, before, random)
            if spoilt is not None:
                yield name, spoilt
        before = trajectory


Spoil = Callable[[Trajectory, Trajectory | None, Random], Trajectory | None]


def _message(t: Trajectory, random: Random, fits: Callable[[Message], object]) -> int | None:
    rows = [n for n, message in enumerate(t.messages) if fits(message)]
    return random.choice(rows) if rows else None


def _question(t: Trajectory, random: Random, fits: Callable[[Question], object]) -> int | None:
    rows = [n for n, question in enumerate(t.questions) if fits(question)]
    return random.choice(rows) if rows else None


def _with_message(t: Trajectory, n: int, message: Message) -> Trajectory:
    return replace(t, messages=(*t.messages[:n], message, *t.messages[n + 1 :]))


def _with_question(t: Trajectory, n: int, question: Question) -> Trajectory:
    return replace(t, questions=(*t.questions[:n], question, *t.questions[n + 1 :]))


def other_value(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """Another value in the text of a message; the facts beside it stay."""
    language = t.questions[0].language
    words = surface(language)
    rows = []
    for n, message in enumerate(t.messages):
        for fact in message.facts:
            attribute = network().attribute(fact.entity, fact.attribute)
            if fact.value is None or attribute.type != "word":
                continue
            said = words.said(attribute, fact.value)
            if message.text.count(said) == 1:
                rows.append((n, said, [w for w in words.values[attribute.words] if w != said]))
    if not rows:
        return None
    n, said, others = random.choice(rows)
    message = t.messages[n]
    text = message.text.replace(said, random.choice(others))
    return _with_message(t, n, replace(message, text=text))


def other_fact(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """A stored fact that the text does not say."""
    n = _message(t, random, lambda m: m.facts)
    if n is None:
        return None
    first, *rest = t.messages[n].facts
    wrong = replace(first, entity="colleague:boss" if first.entity == "self" else "self")
    return _with_message(t, n, replace(t.messages[n], facts=(wrong, *rest)))


def wrong_week(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """A message with a relative time, sent a week later than it was: what it says moves on."""
    n = _message(t, random, lambda m: m.facts and any(w in m.text for w in WEEKS))
    if n is None:
        return None
    week = 7 * DAY_MS
    moved = tuple(replace(m, time=m.time + week) if k >= n else m for k, m in enumerate(t.messages))
    asked = tuple(replace(q, time=q.time + week) for q in t.questions)
    return replace(t, messages=moved, questions=asked)


def same_id(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """Two messages of one id."""
    n = random.randrange(1, len(t.messages))
    return _with_message(t, n, replace(t.messages[n], id=t.messages[n - 1].id))


def time_back(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """A message that is sent before the one before it."""
    n = random.randrange(1, len(t.messages))
    return _with_message(t, n, replace(t.messages[n], time=t.messages[n - 1].time - 1))


def asked_early(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """A question before what it rests on."""
    n = _question(t, random, lambda q: q.evidence)
    if n is None:
        return None
    needed = max(m.time for m in t.messages if m.id in t.questions[n].evidence[0])
    return _with_question(t, n, replace(t.questions[n], time=needed))


def wrong_answer(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """Another option as the answer."""
    n = _question(t, random, lambda q: q.options)
    if n is None:
        return None
    question = t.questions[n]
    others = [option for option in question.options if option != question.answer]
    return _with_question(t, n, replace(question, answer=random.choice(others)))


def guessed(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """An answer to what was never told, or was taken back."""
    n = _question(t, random, lambda q: q.answer is None)
    return None if n is None else _with_question(t, n, replace(t.questions[n], answer="12"))


def evidence_lost(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """One message fewer in a set of evidence."""
    n = _question(t, random, lambda q: q.answer is not None and q.evidence)
    if n is None:
        return None
    first, *rest = t.questions[n].evidence
    less = frozenset(sorted(first)[1:])
    return _with_question(t, n, replace(t.questions[n], evidence=(less, *rest)))


def evidence_more(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """One message more in a set of evidence: one that is not needed."""
    n = _question(t, random, lambda q: q.answer is not None and q.evidence)
    if n is None:
        return None
    first, *rest = t.questions[n].evidence
    idle = [m.id for m in t.messages if m.id not in first and not m.facts]
    if not idle:
        return None
    more = first | {random.choice(idle)}
    return _with_question(t, n, replace(t.questions[n], evidence=(more, *rest)))


def alternative_lost(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """One alternative fewer: what was said twice counts once."""
    n = _question(t, random, lambda q: len(q.evidence) == 2)
    if n is None:
        return None
    return _with_question(t, n, replace(t.questions[n], evidence=t.questions[n].evidence[:1]))


def evidence_unknown(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """Evidence that is no message."""
    n = _question(t, random, lambda q: q.evidence)
    if n is None:
        return None
    more = frozenset({f"{t.user}-9999"})
    return _with_question(t, n, replace(t.questions[n], evidence=(more,)))


def option_twice(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """The answer twice among the options."""
    n = _question(t, random, lambda q: q.options)
    if n is None:
        return None
    question = t.questions[n]
    options = (*(o for o in question.options if o != question.answer), question.answer)
    return _with_question(t, n, replace(question, options=(*options[1:], question.answer)))


def option_lost(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """Options without the answer."""
    n = _question(t, random, lambda q: q.options)
    if n is None:
        return None
    question = t.questions[n]
    options = tuple(option for option in question.options if option != question.answer)
    return _with_question(t, n, replace(question, options=options))


def other_question(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """The words of another question."""
    n = _question(t, random, lambda q: q.kind == "simple")
    m = _question(t, random, lambda q: q.kind == "comparative")
    if n is None or m is None:
        return None
    return _with_question(t, n, replace(t.questions[n], text=t.questions[m].text))


def other_kind(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """What never changed, as a question of what did."""
    n = _question(t, random, lambda q: q.kind == "simple")
    return None if n is None else _with_question(t, n, replace(t.questions[n], kind="update"))


def told_in_question(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """A question with its answer in it."""
    n = _question(t, random, lambda q: q.kind == "noisy" and q.answer
                  and q.program["ask"]["op"] in TOLD_IN_TEXT)  # fmt: skip
    if n is None:
        return None
    question = t.questions[n]
    return _with_question(t, n, replace(question, text=f"{question.answer}? {question.text}"))


def not_ours(t: Trajectory, before: Trajectory | None, random: Random) -> Trajectory | None:
    """A message of another user."""
    if before is None:
        return None
    n = random.randrange(len(t.messages))
    message = replace(random.choice(before.messages), time=t.messages[n].time)
    return _with_message(t, n, message)


def contradicted(t: Trajectory, _: Trajectory | None, random: Random) -> Trajectory | None:
    """A second value for a cell, which is no correction, and told by a fact that fits its text."""
    n = _message(t, random, lambda m: [f.act for f in m.facts] == ["correct"] and m.text.startswith(
        ("Update: ", "更新一下：")))  # fmt: skip
    if n is None:
        return None
    message = t.messages[n]
    old, new = (("Update: ", "For your notes, ") if message.text.isascii()
                else ("更新一下：", "顺便提一下："))  # fmt: skip
    facts = (replace(message.facts[0], act="state"),)
    return _with_message(t, n, replace(message, text=message.text.replace(old, new), facts=facts))


FAULTS: dict[str, Spoil] = {
    spoil.__name__: spoil
    for spoil in (
        other_value, other_fact, wrong_week, same_id, time_back, asked_early, wrong_answer, guessed,
        evidence_lost, evidence_more, alternative_lost, evidence_unknown, option_twice, option_lost,
        other_question, other_kind, told_in_question, not_ours, contradicted,
    )
}  # fmt: skip
"""Kinds of faults."""
