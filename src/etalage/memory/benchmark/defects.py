"""What is wrong with published data? What can be recomputed from the texts, and the options alone.

A benchmark that scores a memory against a wrong answer scores the wrong thing; here is how often
that happens, found by rules that read no language model's mind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from etalage.memory.benchmark.lexical import characters
from etalage.memory.benchmark.memdaily import said
from etalage.memory.trajectory import Message, Question, Trajectory

FAILURE = "[无效输出]"
"""What MemDaily's scripts write where the language model gave nothing that could be used."""
NONSENSE = "钝角"
"""An option of the scripts' own ("an obtuse angle") where an answer matched no name."""
NEXT_WEEK = re.compile(r"(下+)周([一二三四五六日天])")
DATE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日")
DAYS = "一二三四五六日"


def defects(trajectories: Iterable[Trajectory]) -> dict[str, int]:
    """Returns how often each defect was found in MemDaily; trajectories are read one by one."""
    found: Counter[str] = Counter(dict.fromkeys(NAMES, 0))
    for each in trajectories:
        found.update(_of_messages(each.messages))
        for question in each.questions:
            found.update(_of_options(question))
            found.update(_of_time(each, question))
    return dict(found)


NAMES = {
    "times_go_backwards": "trajectories with a message clocked before the one in front of it",
    "asked_before_last_message": "questions clocked before the last message",
    "failure_in_message": "trajectories with a failure of the language model as a user's message",
    "answer_twice_in_options": "questions with the right answer twice among the options",
    "nonsense_option": "questions with an option that answers nothing",
    "relative_times": "answers that give a date for a day of next week in hybrid questions",
    "relative_times_a_week_off": "of these, answers that are wrong by exactly a week",
    "medoid_hits": "questions where the option most like the others is the right one",
}
"""What each count is of."""


def _of_messages(messages: Sequence[Message]) -> Iterator[str]:
    times = [message.time for message in messages]
    if any(later < sooner for sooner, later in pairwise(times)):
        yield "times_go_backwards"
    if any(FAILURE in message.text for message in messages):
        yield "failure_in_message"


def _of_options(question: Question) -> Iterator[str]:
    options = [option.strip() for option in question.options]
    if question.answer is not None and options.count(question.answer.strip()) > 1:
        yield "answer_twice_in_options"
    if any(NONSENSE in option for option in options):
        yield "nonsense_option"
    if options and question.options[medoid(question.options)] == question.answer:
        yield "medoid_hits"


def _of_time(trajectory: Trajectory, question: Question) -> Iterator[str]:
    last = trajectory.messages[-1].time
    if question.meta.get("clocked", question.time) < last:
        yield "asked_before_last_message"
    if question.kind not in ("simple", "noisy") or question.meta.get("scope") != "hybrid":
        return  # other kinds were resolved in another way, or ask nothing of the sort
    given = DATE.search(question.answer or "")
    if given is None:
        return
    stated = datetime(int(given[1]), int(given[2]), int(given[3]), tzinfo=UTC)
    for message in trajectory.messages:
        if message.id in question.evidence[0] and (told := meant(message)) is not None:
            yield "relative_times"
            if abs(stated - told) == timedelta(7):
                yield "relative_times_a_week_off"


def meant(message: Message) -> datetime | None:
    """Returns the day of "下周五" or "下下周五" in a message, as of the day it was sent.

    >>> monday = 1711929600000  # 2024-04-01
    >>> meant(Message("1", monday, "user", "会议在下周五上午。")).date().isoformat()
    '2024-04-12'
    """
    match = NEXT_WEEK.search(said(message))
    if match is None:
        return None
    sent = datetime.fromtimestamp(message.time / 1000, UTC).replace(hour=0, minute=0)
    monday = sent - timedelta(sent.weekday())
    return monday + timedelta(7 * len(match[1]) + DAYS.index(match[2].replace("天", "日")))


def medoid(options: Sequence[str]) -> int:
    """Returns which option is most like the others in its characters and pairs of them.

    >>> medoid(["23岁", "42岁; 三天", "42岁; 两天", "40岁; 两天"])
    2
    """
    parts = [frozenset(characters(option)) for option in options]
    likeness = [
        sum(_likeness(one, other) for at, other in enumerate(parts) if at != here)
        for here, one in enumerate(parts)
    ]
    return likeness.index(max(likeness))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0
