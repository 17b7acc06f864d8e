"""Who answers from what was found? A program that reads exactly, or a language model.

The program reader knows nothing but the messages that it is given, so what it gets wrong the memory
got wrong. A language model adds mistakes of its own, and those are counted with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol

from etalage.errors import AnswerError
from etalage.language.request import LanguageModel, Request, Result
from etalage.language.request import Message as Turn
from etalage.language.untrusted import cleaned, fenced
from etalage.memory.simulate import reading
from etalage.memory.simulate.programs import Knowledge
from etalage.memory.trajectory import Message, Question

UNKNOWN = "unknown"
"""What a language model is told to say where the messages do not tell."""
MOST = 1000
"""Characters of one message that a language model reads."""


REMEMBERED = 2**16
"""Texts whose facts are kept."""


class Reader(Protocol):
    """Answers a question from messages alone; None: they do not tell."""

    @property
    def name(self) -> str:
        """Another for whatever may answer otherwise: rows are kept under it."""

    def reads(self, question: Question) -> bool:
        """Whether it can answer questions like this one."""

    def answer(self, question: Question, messages: Sequence[Message]) -> str | None:
        """Returns the answer."""


class ProgramReader:
    """Parses the messages, and runs the program of the question."""

    name = "program"

    def __init__(self) -> None:
        self._facts = lru_cache(REMEMBERED)(reading.facts_of)

    def reads(self, question: Question) -> bool:
        return question.program is not None

    def answer(self, question: Question, messages: Sequence[Message]) -> str | None:
        assert question.program is not None
        return reading.answer(question.program, self.known(messages), question.time)

    def known(self, messages: Iterable[Message]) -> Knowledge:
        """Returns what messages say; each text is parsed once, however often it comes back."""
        found = Knowledge()
        for message in messages:
            if message.speaker == "user":
                found.add(self._facts(message.text, message.time), message.time, message.id)
        return found


class Stale:
    """What would have been answered once, and is wrong now, to questions about one user."""

    def __init__(self, messages: Sequence[Message], reader: ProgramReader) -> None:
        self._known = reader.known(messages)
        changes = [rows for rows in self._known.said.values() if len(rows) > 1]
        self._times = sorted({time for rows in changes for time, *_ in rows})

    def answers(self, question: Question) -> frozenset[str]:
        """Returns answers that were right before the question was asked and are no more; none
        where nothing of it had changed, or it has no program."""
        if question.program is None:
            return frozenset()
        times = [time for time in self._times if time <= question.time]
        once = {reading.answer(question.program, self._known, time) for time in times}
        return frozenset(text for text in once if text is not None and text != question.answer)


class ModelReader:
    """Asks a language model, one question at a time.

    Raises:
        AnswerError: where it does not answer.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.name = f"model {model.name}"

    def reads(self, question: Question) -> bool:
        return True

    def answer(self, question: Question, messages: Sequence[Message]) -> str | None:
        order = sorted(messages, key=lambda message: message.time)
        lines = {f"#{n}": cleaned(each.text, MOST) for n, each in enumerate(order, 1)}
        task = (
            "Answer from these messages of one person alone, in as few words as possible, in the "
            f"language of the question. Say {UNKNOWN} where they do not tell.\n"
        )
        request = Request(
            (Turn("user", f"{task}{fenced(lines)}\nQuestion: {question.text}"),),
            template="memory benchmark 1",
            is_personal=True,
        )
        for found in self._model.generate([request]):
            if not isinstance(found, Result):
                raise AnswerError(f"the language model did not answer: {found.reason}")
            text = found.text.strip()
            return None if normal(text) in ("", UNKNOWN) else text
        raise AnswerError("the language model gave no outcome for a request")


def is_right(question: Question, given: str | None) -> bool:
    """Whether an answer is the right one, or one of its other names; None is right where nothing
    was to be told."""
    if given is None or question.answer is None:
        return given is None and question.answer is None
    return normal(given) in {normal(name) for name in (question.answer, *question.aliases)}


def normal(text: str) -> str:
    """Returns a text as answers are compared: without case, marks, articles and spaces.

    >>> normal("The 3rd, of May.") == normal("3RD of May")
    True
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"\b(?:a|an|the)\b", " ", text)
    # a point between digits and the sign before them are of the number
    return re.sub(r"(?<!\d)\.|\.(?!\d)|(?!-\d)[^\w.]|_", "", text)
