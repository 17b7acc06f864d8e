"""The rules find what is said outright, and nothing else."""

from __future__ import annotations

import pytest

from etalage.memory.grammar import facts_in
from etalage.memory.statement import Statement

SAID = {
    "I like jazz": [("user", "likes", "jazz", 1)],
    "I really love the red mug!": [("user", "likes", "red mug", 1)],
    "I don't like horror films.": [("user", "likes", "horror films", -1)],
    "I no longer like jazz": [("user", "likes", "jazz", -1)],
    "I used to love opera": [("user", "likes", "opera", -1)],
    "I hate olives, but my sister loves them": [
        ("user", "likes", "olives", -1), ("user.sister", "likes", "them", 1)],
    "I'm allergic to nuts and cats": [
        ("user", "allergic_to", "nuts", 1), ("user", "allergic_to", "cats", 1)],
    "I am not allergic to nuts": [("user", "allergic_to", "nuts", -1)],
    "I live in Lyon because of work": [("user", "lives_in", "Lyon", 1)],
    "We met. I have just moved to New York last week.": [("user", "lives_in", "New York", 1)],
    "I no longer live in Lyon": [("user", "lives_in", "Lyon", -1)],
    "My brother lives in Porto": [("user.brother", "lives_in", "Porto", 1)],
    "I work as a nurse": [("user", "works_as", "nurse", 1)],
    "My shoe size is 42": [("user", "shoe_size", "42", 1)],
    "my sister's birthday is 4 May, by the way": [("user.sister", "birthday", "4 May", 1)],
    "Never show me anything from the garden": [("user", "likes", "garden", -1)],
    "Never the same!": [],
    "I bought a blue jacket yesterday": [("user", "bought", "blue jacket", 1)],
    "I am 31 years old": [("user", "age", "31 years old", 1)],
    "我不喜欢咖啡": [("user", "likes", "咖啡", -1)],
    "我喜欢爵士乐。": [("user", "likes", "爵士乐", 1)],
    "我住在上海": [("user", "lives_in", "上海", 1)],
    "我对花生过敏": [("user", "allergic_to", "花生", 1)],
}  # fmt: skip
SAYS_NOTHING = [
    "Do I like jazz?",
    "I would like a coffee",
    "If I lived in Lyon I would be happy",
    "She likes jazz",
    "Someone like me",
    "Good morning!",
    "Remind me to call the dentist",
]


@pytest.mark.parametrize("text", SAID)
def test_what_is_said_is_found(text: str) -> None:
    found = [(f.subject, f.predicate, f.object, f.polarity) for f in facts_in(Statement(text))]
    assert sorted(found) == sorted(SAID[text])


@pytest.mark.parametrize("text", SAYS_NOTHING)
def test_what_is_not_said_is_not_found(text: str) -> None:
    assert facts_in(Statement(text)) == ()


def test_a_fact_points_at_the_words_that_say_it() -> None:
    text = "Hello there. I moved to Lyon, finally."
    (fact,) = facts_in(Statement(text))
    assert text[slice(*fact.span)] == "I moved to Lyon"
    assert fact.origin == "grammar"


@pytest.mark.parametrize("source", ["assistant", "shop"])
def test_what_others_say_of_somebody_is_no_fact(source: str) -> None:
    assert facts_in(Statement("I like jazz", source=source)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "my " * 20_000 + "I like " * 5000,
        "I like" + " " * 1000 + "x" * 300,
        "my a" + "\t" * 9000 + "x",
        "I like" + " " * 8 + "x" * 90 + (" " * 8 + "x") * 1000,
    ],
)
def test_a_text_without_end_costs_little(text: str) -> None:
    import time

    began = time.process_time()
    facts_in(Statement(text))
    assert time.process_time() - began < 1


def test_some_spaces_are_no_end() -> None:
    assert [fact.object for fact in facts_in(Statement("I like    jazz  \t and   tea"))] == ["jazz"]
