"""What does a memory know that holds these messages? A reader that needs no language model.

It reads the text alone, by the inverses of the templates, and runs the program of a question on
what it read. So a memory can be judged by what it gives back, apart from how well a language model
reasons about it. Any part of a trajectory, in any order, with other text between, can be read.
"""

from __future__ import annotations

from collections.abc import Iterable

from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.programs import Knowledge, Program, run
from etalage.memory.simulate.statements import language_of, statements
from etalage.memory.trajectory import Fact, Message


def facts_of(text: str, time: int) -> list[Fact]:
    """Returns what a user's text says, sent at a time in ms UTC; nothing for other text.

    >>> facts_of("By the way, my aunt lives in Alderbrook.", 0)[0].value
    'Alderbrook'
    """
    return statements(language_of(text)).read(text, time)


def read(messages: Iterable[Message]) -> Knowledge:
    """Returns what messages say, by their texts and times; an assistant's says nothing."""
    knowledge = Knowledge()
    for message in messages:
        if message.speaker == "user" and (facts := facts_of(message.text, message.time)):
            knowledge.add(facts, message.time, message.id)
    return knowledge


def answer(program: Program, knowledge: Knowledge, time: int) -> str | None:
    """Returns the answer of a question's program at its time; None where it must abstain.

    Raises:
        DataError: for what is no program.
    """
    return run(program, knowledge, time)


def program_of(question: str) -> Program | None:
    """Returns the program that the text of a question asks for; None for other text."""
    return asking(language_of(question)).parsed(question)
