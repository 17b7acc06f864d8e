"""The rules find what a prompt says outright, and bind nothing where they are not sure."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.creative.bindings import check_bindings
from etalage.creative.free_text import find_bindings
from etalage.creative.vocabulary import WORDS
from etalage.errors import DataError

SAID = {
    "a red mug beside a blue teapot": [("red", "mug"), ("blue", "teapot")],
    "A Red mug, blue teapot": [("Red", "mug"), ("blue", "teapot")],
    "a mug that is red": [("red", "mug")],
    "The mug is red and striped.": [("red", "mug"), ("striped", "mug")],
    "a vase made of glass": [("glass", "vase")],
    "a vase that is made of glass and is blue": [("glass", "vase"), ("blue", "vase")],
    "a bag in red leather": [("red", "bag"), ("leather", "bag")],
    "a small round red ceramic mug": [
        ("small", "mug"), ("round", "mug"), ("red", "mug"), ("ceramic", "mug")],
    "a red and blue mug": [("red", "mug"), ("blue", "mug")],
    "a red, white and blue mug": [("red", "mug"), ("white", "mug"), ("blue", "mug")],
    "a red, and blue mug": [("red", "mug"), ("blue", "mug")],
    "a red & blue mug": [("red", "mug"), ("blue", "mug")],
    "a red-and-blue mug": [("red", "mug"), ("blue", "mug")],
    "a dark-green mug and a light blue bowl": [("dark-green", "mug"), ("light blue", "bowl")],
    "a red-striped mug": [("red", "mug"), ("striped", "mug")],
    "a heart-shaped box": [("heart-shaped", "box")],
    "a stainless-steel kettle": [("stainless-steel", "kettle")],
    "a red mug and blue teapots": [("red", "mug"), ("blue", "teapots")],
    "a mug that is red and blue teapots": [("red", "mug"), ("blue", "teapots")],
    "a mug that is red and a blue teapot": [("red", "mug"), ("blue", "teapot")],
    "a mug on a table that is red": [("red", "table")],
    "a red mug and a red teapot": [("red", "mug"), ("red", "teapot")],
    "two green knives and a red T-shirt": [("green", "knives"), ("red", "T-shirt")],
    "some green scarves": [("green", "scarves")],
    "a shiny red new mug": [("red", "mug")],
    "a red coffee table": [("red", "coffee table")],
    "a glass vase beside a red glass": [("glass", "vase"), ("red", "glass")],
    "a glass and a red mug": [("red", "mug")],
    "a glass and red mug": [("red", "mug")],
    "a blue balloon and an orange gizmo": [("blue", "balloon"), ("orange", "gizmo")],
    "a mug with no blue handle and a red bowl": [("red", "bowl")],
    "ein Becher, a red mug, 一个杯子": [("red", "mug")],
}  # fmt: skip
BINDS_NOTHING = [
    "a mug",
    "red",
    "a red, shiny mug",  # what stands between the marks is not known
    "a red and a mug",
    "a mug that is not red",
    "the mug isn’t red",
    "not a red mug",
    "it isn’t a red mug",
    "without any red mug",
    "no mug that is red",
    "a blue-eyed doll",
    "a red-hot stove",
    "a non-red mug",
    "the mug is red today",
    "a red mug holder",
    "red gizmo",  # without an article, a word may be anything
    "a red shiny gizmo",
    "a red 5",
    "a candle in glass",
    "a mug in red light",
    "hundred mugs, a mugger, infrared",
    "un mug rouge",
    "🙂 !!",
    "a rеd mug",  # with a Cyrillic letter
]


def pairs(prompt: str) -> list[tuple[str, str]]:
    return [pair for binding in find_bindings(prompt) for pair in binding.pairs]


@pytest.mark.parametrize("prompt", SAID)
def test_what_is_said_is_found_where_it_is_said(prompt: str) -> None:
    assert pairs(prompt) == SAID[prompt]
    check_bindings(prompt, find_bindings(prompt))


@pytest.mark.parametrize("prompt", BINDS_NOTHING)
def test_what_is_not_sure_is_not_bound(prompt: str) -> None:
    assert pairs(prompt) == []


def test_repeated_words_are_told_apart_by_their_places() -> None:
    first, second = find_bindings("a red mug beside a red mug")
    assert (first.attributes[0].start, first.object.start) == (2, 6)
    assert (second.attributes[0].start, second.object.start) == (19, 23)


def test_other_spellings_are_read() -> None:
    assert pairs("a gray wool scarf") == [("gray", "scarf"), ("wool", "scarf")]


def test_a_shop_may_add_its_things() -> None:
    assert pairs("a red tea towel") == [("red", "towel")]
    (binding,) = find_bindings("a red tea towel", WORDS.with_things("tea towel"))
    assert binding.pairs == (("red", "tea towel"),)


@pytest.mark.parametrize("prompt", ["", "  \n", None, 3, ["a red mug"]])
def test_no_text_is_refused(prompt: object) -> None:
    with pytest.raises(DataError, match="text with a word"):
        find_bindings(prompt)  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", ["一个红色的杯子", "красная кружка", "كوب أحمر 3"])
def test_another_script_is_refused_with_what_to_do(prompt: str) -> None:
    with pytest.raises(DataError, match="no Latin letter; give its bindings as pairs"):
        find_bindings(prompt)


FRAGMENTS = st.sampled_from(
    [
        "a", "the", "red", "dark", "green", "blue", "glass", "mug", "mugs", "t-shirt", "and", "&",
        ",", ".", "is", "that", "in", "made", "of", "not", "red-and-", "gizmo", "wooden-blue",
        "İ", "红", "\n", "-", "'", "_", "light", "stainless", "steel", "coffee", "table", ",and",
    ]
)  # fmt: skip


@given(st.lists(FRAGMENTS | st.text(max_size=4), max_size=14), st.sampled_from(["", " "]))
def test_any_text_is_read_and_every_span_says_its_phrase(parts: list[str], blank: str) -> None:
    prompt = "mug " + blank.join(parts)
    found = find_bindings(prompt)
    check_bindings(prompt, found)
    spans = [p for b in found for p in (b.object, *b.attributes)]
    ordered = sorted(spans)
    assert all(one.end <= two.start for one, two in pairwise(ordered))
    assert all(binding.attributes for binding in found)
    assert [b.object for b in found] == sorted(b.object for b in found)
    assert all(WORDS.attribute(phrase.text) for b in found for phrase in b.attributes)
