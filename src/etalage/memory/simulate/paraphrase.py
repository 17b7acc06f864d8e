"""How would somebody else put it? A language model may reword what was said, and change nothing.

A new wording is taken only where reading it gives exactly the facts, or the program, of the old one
at about its length; else the template's words stay. So answers are right whatever the model does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from etalage.language.request import LanguageModel, Request, Result, Sampling
from etalage.language.request import Message as Turn
from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.reading import facts_of, program_of
from etalage.memory.simulate.statements import language_of
from etalage.memory.trajectory import Trajectory

INSTRUCTIONS = (
    "Say the user's text again in other words, in the same language. Keep every name, number, date "
    "and value as it is written, add nothing, and answer with the new text alone."
)
SHORTEST, LONGEST = 0.5, 2.0
"""Lengths that are taken, of the old one."""
Means = Callable[[str], object]


def paraphrased(
    trajectory: Trajectory, model: LanguageModel, sampling: Sampling | None = None
) -> tuple[Trajectory, int]:
    """Returns a trajectory in the words of a model where they say the same, and how many do.

    Messages of a user that say facts, and questions with a program, are put to the model, one
    request each.
    """
    sampling = sampling or Sampling()
    times: dict[str, list[int]] = {}
    for message in trajectory.messages:
        if message.facts:
            times.setdefault(message.text, []).append(message.time)
    texts = [*times, *(q.text for q in trajectory.questions if q.program)]
    requests = {_request(text, sampling): text for text in texts}
    taken: dict[str, str] = {}
    for outcome in model.generate(list(requests)):
        text = requests[outcome.request]
        if not isinstance(outcome, Result):
            continue
        said = outcome.text.strip()
        means = _facts_at(times[text]) if text in times else _asked_of(text)
        if _is_taken(text, said, means):
            taken[text] = said
    messages = tuple(replace(m, text=taken.get(m.text, m.text)) for m in trajectory.messages)
    questions = tuple(replace(q, text=taken.get(q.text, q.text)) for q in trajectory.questions)
    source = f"{trajectory.source}, in words of {model.name}"
    return replace(trajectory, messages=messages, questions=questions, source=source), len(taken)


def _request(text: str, sampling: Sampling) -> Request:
    return Request((Turn("system", INSTRUCTIONS), Turn("user", text)), sampling, is_personal=False)


def _facts_at(times: list[int]) -> Means:
    return lambda text: [facts_of(text, time) for time in times]


def _asked_of(question: str) -> Means:
    """The program, and whether there is talk before it."""
    pivots = asking(language_of(question)).given["pivots"]
    return lambda text: (program_of(text), any(pivot in text for pivot in pivots))


def _is_taken(old: str, new: str, means: Means) -> bool:
    if not SHORTEST * len(old) <= len(new) <= LONGEST * len(old) or "\n" in new:
        return False
    return language_of(new) == language_of(old) and means(new) == means(old)
