"""Who answers from what was found? A program that reads exactly, or a language model.

The program reader knows nothing but the messages that it is given, so what it gets wrong the memory
got wrong. A language model adds mistakes of its own, and those are counted with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Protocol

from etalage.errors import AnswerError
from etalage.language.request import LanguageModel, Request, Result
from etalage.language.request import Message as Turn
from etalage.language.untrusted import cleaned, fenced
from etalage.memory.simulate import reading
from etalage.memory.trajectory import Message, Question

UNKNOWN = "unknown"
"""What a language model is told to say where the messages do not tell."""
MOST = 1000
"""Characters of one message that a language model reads."""


class Reader(Protocol):
    """Answers a question from messages alone; None: they do not tell."""

    def reads(self, question: Question) -> bool:
        """Whether it can answer questions like this one."""

    def answer(self, question: Question, messages: Sequence[Message]) -> str | None:
        """Returns the answer."""


class ProgramReader:
    """Parses the messages, and runs the program of the question."""

    def reads(self, question: Question) -> bool:
        return question.program is not None

    def answer(self, question: Question, messages: Sequence[Message]) -> str | None:
        assert question.program is not None
        known = reading.read(messages)
        return reading.answer(question.program, known, question.time)


class ModelReader:
    """Asks a language model, one question at a time.

    Raises:
        AnswerError: where it does not answer.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

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
