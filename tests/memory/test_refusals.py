"""What must not be shown: stated dislikes and allergies, in whatever words, until taken back."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.memory.events import observed
from etalage.memory.facts import Fact
from etalage.memory.grammar import facts_in
from etalage.memory.refusals import Refusal, Words, refusals, words_meant
from etalage.memory.statement import Statement

ITEMS = ["The Ring Horror", "Notting Hill Romance", "Nut bar Snacks", "Oat bar Snacks",
         "Scary Movie Comedy", "Butter cookie Biscuits", "Café crème Drinks", "恐怖电影 片",
         "Heavy Metal Box Music", "Peanut butter Spreads"]  # fmt: skip


def said(*texts: str) -> list[Fact]:
    """Facts of texts, each a minute after the one before, as a store keeps them."""
    found = []
    for number, text in enumerate(texts, 1):
        for fact in facts_in(Statement(text)):
            parts = {name: getattr(fact, name) for name in fact.__slots__}
            found.append(Fact(**parts | {"valid_from": number * 60_000, "memory": number}))
    return found


def refused(*texts: str) -> list[str]:
    words = Words(ITEMS)
    rows = {row for refusal in refusals(said(*texts), 10**9) for row in words.refused(refusal)}
    return [ITEMS[row] for row in sorted(rows)]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Never horror.", ["The Ring Horror"]),
        ("never show me horror movies, please", ["The Ring Horror"]),
        ("I don’t like horror films very much", ["The Ring Horror"]),
        ("No more horror please", ["The Ring Horror"]),
        ("I hate HORROR or romance", ["The Ring Horror", "Notting Hill Romance"]),
        ("I can't stand comedy, romance and horror!",
         ["The Ring Horror", "Notting Hill Romance", "Scary Movie Comedy"]),
        ("I'm severely allergic to nuts", ["Nut bar Snacks"]),
        ("I have a nut allergy", ["Nut bar Snacks"]),
        ("I don't eat anything with nuts", ["Nut bar Snacks"]),
        ("I do not like cookies", ["Butter cookie Biscuits"]),
        ("I don't like cafe creme", ["Café crème Drinks"]),
        ("I never listen", []),
        ("I don't want to see heavy metal music", ["Heavy Metal Box Music"]),
        ("我不喜欢恐怖片", ["恐怖电影 片"]),
        ("别给我推荐恐怖电影", ["恐怖电影 片"]),
        ("I am not into romance", ["Notting Hill Romance"]),
        # nothing of this forbids anything
        ("I like horror", []),
        ("I love horror and romance", []),
        ("My sister hates horror", []),
        ("If I don't like horror, I send it back", []),
        ("I don't like it", []),
        ("Never mind", []),
        ("Do you think I don't like horror?", []),
    ],
)  # fmt: skip
def test_what_is_said_keeps_out_what_is_meant(text: str, items: list[str]) -> None:
    assert refused(text) == items


def test_the_newest_word_decides_whatever_it_is_called() -> None:
    assert refused("I don't like horror movies", "I like horror") == []
    assert refused("I like horror", "never horror films") == ["The Ring Horror"]
    assert refused("I'm allergic to nuts", "I am no longer allergic to nuts") == []
    assert refused("I'm allergic to nuts", "I like nuts") == ["Nut bar Snacks"]


def test_deeds_and_others_words_forbid_nothing() -> None:
    bad = observed("rated", "The Ring Horror", 5, rating=1.0).facts
    back = observed("returned", "Nut bar", 6).facts
    assert refusals([*bad, *bad, *back], 10**9) == []
    assert facts_in(Statement("I hate horror", source="assistant")) == ()
    bought = observed("bought", "horror", 9 * 60_000).facts
    assert len(refusals([*said("never horror"), *bought], 10**9)) == 1


def test_a_refusal_tells_where_it_was_said() -> None:
    found = refusals(said("Never horror", "I like tea", "I really don't like Horror movies"), 10**9)
    assert found == [Refusal("Horror movies", "dislikes", ("horror",), (1, 3))]
    assert refusals(said("Never horror"), 59_999) == [], "it was not said yet"


@pytest.mark.parametrize("thing", ["", "it", "the", "  ", "!!", "that very"])
def test_a_thing_without_a_name_refuses_nothing(thing: str) -> None:
    assert words_meant(thing) == ()
    assert Words(ITEMS).refused(Refusal(thing, "dislikes", words_meant(thing), (1,))).size == 0


NAMES = ["horror", "romance", "nuts", "cookies", "lenses", "glasses", "berries", "shoes", "boxes",
         "dresses", "wool", "leather", "potatoes", "buses", "knitting"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    titles=st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), max_size=12),
    name=st.sampled_from(NAMES),
    form=st.sampled_from(["Never {}", "I don't like {}", "I'm allergic to {}", "I hate {} films"]),
    singular=st.booleans(),
)
def test_no_title_with_the_word_is_left_and_no_other_is_taken(
    titles: list[list[str]], name: str, form: str, singular: bool
) -> None:
    """An item is refused exactly where it has the word, in singular or plural."""

    def one(word: str) -> str:
        return {"berries": "berry", "cookies": "cookie", "lenses": "lens", "shoes": "shoe"}.get(
            word, re.sub(r"(?<=ss|ox|to|us)es$|(?<![s])s$", "", word)
        )

    texts = [" ".join(one(word) if singular else word for word in title) for title in titles]
    (refusal,) = refusals(said(form.format(name)), 10**9)
    rows = Words(texts).refused(refusal)
    assert rows.dtype == np.int32
    assert rows.tolist() == [row for row, title in enumerate(titles) if name in title]
