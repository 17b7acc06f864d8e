"""Programs: the answers that a person would give to the same messages."""

from itertools import permutations
from typing import Any

import pytest

from etalage.errors import DataError
from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.programs import applied
from etalage.memory.simulate.reading import answer, program_of, read
from etalage.memory.simulate.surface import time_of
from etalage.memory.trajectory import Message

NOW = time_of("2026-06-01T12:00")
SAID = [
    ("2026-05-01T08:00", "My aunt is 51 years old. My aunt lives in Alderbrook."),
    ("2026-05-02T08:00", "My boss is 45 years old."),
    ("2026-05-03T08:00", "By the way, my mentor is 45 years old."),
    ("2026-05-04T08:00", "My aunt's phone number is 13100004567."),
    ("2026-05-05T08:00", "Update: my aunt lives in Greyholm."),
    ("2026-05-06T08:00", "My boss lives in Alderbrook."),
    ("2026-05-07T08:00", "My boss was born on 24 December."),
    ("2026-05-08T08:00", "Please forget my boss's birthday."),
    ("2026-05-09T08:00", "I bought the teapot at Brambles. I paid 40 euros for the teapot."),
    ("2026-05-10T08:00", "I bought the tent at Brambles. I paid 61 euros for the tent."),
    ("2026-05-11T08:00", "I dislike velvet."),
    ("2026-05-12T08:00", "I like marble."),
    ("2026-05-13T08:00", "The fire drill starts at 14:00 on Monday next week."),
    ("2026-05-14T08:00", "My mentor's level of education is university."),
    ("2026-05-15T08:00", "My boss's level of education is secondary school."),
    ("2026-05-16T08:00", "My aunt's level of education is university."),
    ("2026-05-17T08:00", "My mentor reads mail at ada.kell@lanternhouse.example."),
]
MESSAGES = [Message(f"m{n}", time_of(at), "user", text) for n, (at, text) in enumerate(SAID)]
ASKED = [
    ("What is my aunt's age?", "51 years"),
    ("What is my aunt's home town now?", "Greyholm"),
    ("At 09:00 on 4 May 2026, what was my aunt's home town as I had told you?", "Alderbrook"),
    ("At 09:00 on 30 April 2026, what was my aunt's home town as I had told you?", None),
    ("What is my boss's birthday?", None),
    ("What is my uncle's age?", None),
    ("What is the age of the relative or colleague of mine whose home town is Alderbrook?",
     "45 years"),
    ("What is the home town of the relative or colleague of mine whose age is 45 years?", None),
    ("Which has the higher age: my aunt or my boss?", "aunt"),
    ("Which has the lower age: my aunt or my boss?", "boss"),
    ("Which has the higher age: my mentor or my boss?", None),
    ("Which has the higher age: my aunt or my uncle?", None),
    ("Which has the higher level of education, or is it the same: my aunt or my mentor?",
     "the same"),
    ("Which has the lower level of education, or is it the same: my aunt or my boss?", "boss"),
    ("Which of my aunt, my boss and my mentor has the highest age?", "aunt"),
    ("Which of my aunt, my boss and my mentor has the lowest age?", None),
    ("For how many of my aunt, my boss and my mentor is the age above 45 years?", "1"),
    ("For how many of my aunt, my boss and my mentor is the age below 52 years?", "3"),
    ("For how many of my aunt, my boss and my uncle is the age below 52 years?", None),
    ("What does the price add up to over every purchase of mine whose shop is Brambles?",
     "101 euros"),
    ("What does the price add up to over every purchase of mine whose shop is Redline?", None),
    ("What do the last 3 digits of my aunt's phone number add up to?", "18"),
    ("In which season is my aunt's birthday?", None),
    ("On which weekday is the start of the fire drill?", "Monday"),
    ("What is the start of the fire drill?", "14:00 on 18 May 2026"),
    ("What comes after the @ in my mentor's e-mail address?", "lanternhouse.example"),
    ("Which of velvet and marble do I dislike?", "velvet"),
    ("Which of velvet and musk do I like?", None),
    ("Is velvet something that I like?", "no"),
    ("Is velvet something that I dislike?", "yes"),
    ("Is musk something that I like?", None),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), ASKED)
def test_answers_are_those_of_a_person(question: str, expected: str | None) -> None:
    program = program_of(question)
    if "Redline" in question:
        assert program is None  # it is no shop
        return
    assert program is not None
    assert answer(program, read(MESSAGES), NOW) == expected


def test_the_order_of_reading_is_no_matter() -> None:
    program = program_of("What is my aunt's home town?")
    assert program is not None
    few = [MESSAGES[n] for n in (0, 4, 5)]
    for order in permutations([*few, few[1]]):
        assert answer(program, read(order), NOW) == "Greyholm"


def test_talk_before_a_question_changes_nothing() -> None:
    program = program_of("The bus was late. Anyway, what I meant to ask: What is my aunt's age?")
    assert program == program_of("What is my aunt's age?")


def test_what_is_said_after_the_question_is_not_known() -> None:
    program = program_of("What is my aunt's home town?")
    assert program is not None
    assert answer(program, read(MESSAGES), time_of("2026-05-05T07:59")) == "Alderbrook"


def test_a_program_of_one_language_reads_the_other() -> None:
    said = [Message("m", 0, "user", "我的姑姑住在灰岛。")]
    program = program_of("What is my aunt's home town?")
    assert program is not None
    assert answer(program, read(said), NOW) == "Greyholm"
    assert answer(program | {"language": "zh"}, read(said), NOW) == "灰岛"


@pytest.mark.parametrize(
    ("function", "value", "n", "expected"),
    [
        ("season", "02-28", 0, "winter"),
        ("season", "03-01", 0, "spring"),
        ("season", "11-30", 0, "autumn"),
        ("month", "12-01", 0, "December"),
        ("weekday", "2026-11-28T09:00", 0, "Saturday"),
        ("suffix", "a.b@c.example", 0, "c.example"),
        ("digits", "13999", 2, 18),
    ],
)
def test_functions_of_a_value(function: str, value: str, n: int, expected: str | int) -> None:
    assert applied(function, value, n)[0] == expected


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"op": "guess"}, "no operation 'guess'"),
        ({"op": "get", "of": "relative:aunt"}, "is no program"),
        ({}, "is no program"),
        ({"op": "apply", "function": "rot13", "of": {"op": "get", "of": "relative:aunt",
          "attribute": "age"}}, "no function 'rot13'"),
    ],
)  # fmt: skip
def test_what_is_no_program_is_refused(ask: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        answer({"language": "en", "ask": ask}, read(MESSAGES), NOW)


@pytest.mark.parametrize(
    "text", ["", "What is love?", "What is my aunt's wings?", "我的龙是什么？"]
)
def test_what_asks_nothing_has_no_program(text: str) -> None:
    assert program_of(text) is None
    assert asking("zh").parsed(text) is None
