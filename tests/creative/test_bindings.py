"""Phrases are found in the prompt that the model gets, and in its tokens."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.creative.bindings import Binding, Phrase, check_bindings, locate, token_bindings
from etalage.creative.compose import compose
from etalage.creative.free_text import find_bindings
from etalage.creative.scene import Scene, Thing
from etalage.errors import DataError

PROMPT = "a red mug beside a dark-green teapot"


def by_word(prompt: str) -> list[tuple[int, int]]:
    return [m.span() for m in re.finditer(r"\w+|[^\w\s]", prompt)]


def test_words_in_pieces_have_all_their_tokens() -> None:
    """As T5 has them: a blank before a piece may belong to it, `-` is a piece, (0, 0) the end."""
    offsets = [(0, 1), (1, 5), (5, 7), (7, 9), (9, 16), (16, 18), (19, 23), (23, 24), (24, 29),
               (29, 33), (33, 36), (0, 0)]  # fmt: skip
    mug, teapot = token_bindings(PROMPT, offsets, find_bindings(PROMPT))
    assert (mug.attributes, mug.object) == (((1,),), (2, 3))
    assert (teapot.attributes, teapot.object) == (((6, 7, 8),), (9, 10))


def test_several_tokens_of_one_character_and_marks_anywhere() -> None:
    prompt = "mug 红 pan"
    pairs = locate(prompt, [("红", "pan")])
    offsets = [(0, 0), (0, 3), (4, 5), (4, 5), (4, 5), (0, 0), (6, 9), (7, 7)]
    (found,) = token_bindings(prompt, offsets, pairs)
    assert (found.attributes, found.object) == (((2, 3, 4),), (6,))


@given(st.integers(0, len(PROMPT)))
def test_a_cut_prompt_is_noticed_wherever_it_is_cut(n_kept: int) -> None:
    offsets = [(start, min(end, n_kept)) for start, end in by_word(PROMPT) if start < n_kept]
    if n_kept < len(PROMPT):
        with pytest.raises(DataError, match="the prompt was cut"):
            token_bindings(PROMPT, offsets, find_bindings(PROMPT))
    else:
        assert len(token_bindings(PROMPT, offsets, find_bindings(PROMPT))) == 2


def test_what_no_binding_needs_may_be_cut() -> None:
    prompt = "a red mug, in a kitchen"
    (found,) = token_bindings(prompt, by_word(prompt)[:3], find_bindings(prompt))
    assert (found.attributes, found.object) == (((1,),), (2,))


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([(0, 1), (2, 9)], "token 1 says 'mug' and an attribute"),
        ([(0, 1), (6, 9)], "no token says 'red'"),
        ([(0, 1), (2, 5), (6, 10)], "within a prompt of 9"),
        ([(0, 1), (5, 2), (6, 9)], "within a prompt of 9"),
        ([(-1, 1), (2, 5), (6, 9)], "within a prompt of 9"),
        ([(0, 1, 2)], "within a prompt of 9"),
        ([], "end at character 0"),
    ],
)
def test_tokens_of_another_text_are_refused(offsets: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        token_bindings("a red mug", offsets, find_bindings("a red mug"))


def test_bindings_of_another_prompt_are_refused() -> None:
    with pytest.raises(DataError, match="the prompt says 'blu' at 2 to 5, not 'red'"):
        check_bindings("a blue mug", [Binding(Phrase(7, 10, "mug"), (Phrase(2, 5, "red"),))])
    with pytest.raises(DataError, match="spans as many characters"):
        Phrase(2, 4, "red")
    with pytest.raises(DataError, match="spans as many characters"):
        Phrase(2, 2, "")


def test_pairs_are_found_in_a_prompt_that_was_rewritten() -> None:
    composed = compose(Scene((Thing("mug", ("red",)), Thing("mug", ("dark blue",))), "kitchen"))
    rewritten = composed.prompt.upper().replace("DARK BLUE", "DARK  BLUE")
    pairs = [pair for binding in composed.bindings for pair in binding.pairs]
    found = locate(rewritten, pairs)
    assert [b.pairs for b in found] == [(("RED", "MUG"),), (("DARK  BLUE", "MUG"),)]
    assert found[0].object.start < found[1].object.start


def test_of_repeated_words_the_nearest_are_meant_and_each_once() -> None:
    prompt = "a mug by a red mug and a mug that is red"
    first, second = locate(prompt, [("red", "mug"), ("red", "mug")])
    assert (first.attributes[0].start, first.object.start) == (11, 15)
    assert (second.object.start, second.attributes[0].start) == (25, 37)
    with pytest.raises(DataError, match="'red' of 'mug' once more"):
        locate(prompt, [("red", "mug")] * 3)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a red-and-blue mug by a red bowl", [("red", "mug"), ("blue", "mug"), ("red", "bowl")]),
        ("a red and blue mug by a red bowl", [("red", "mug"), ("blue", "mug"), ("red", "bowl")]),
        ("a red-striped mug", [("red", "mug"), ("striped", "mug")]),
        ("a dark-red-and-blue mug", [("dark-red", "mug"), ("blue", "mug")]),
        ("A DARK‑RED mug", [("DARK‑RED", "mug")]),
    ],
)
def test_what_the_rules_bind_is_located_again(prompt: str, said: list[tuple[str, str]]) -> None:
    found = find_bindings(prompt)
    assert [pair for binding in found for pair in binding.pairs] == said
    assert locate(prompt, said) == found


@pytest.mark.parametrize("pair", [("red", "mug"), ("dark", "mug"), ("green", "leaf")])
def test_a_part_of_a_hyphenated_word_is_no_word(pair: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="does not say"):
        locate("a dark-red mug with an evergreen-leaf", [pair])


def test_scripts_without_blanks_have_words_too() -> None:
    """The reader of free text sends them here."""
    prompt = "一个红色的杯子和蓝色的碗"
    with pytest.raises(DataError, match=r"no Latin letter.*locate"):
        find_bindings(prompt)
    cup, bowl = locate(prompt, [("蓝色", "碗"), ("红色", "杯子")])
    assert (cup.pairs, bowl.pairs) == ((("红色", "杯子"),), (("蓝色", "碗"),))
    assert locate("赤いカップとmug", [("赤い", "mug")])[0].object.start == 6
    with pytest.raises(DataError, match="does not say"):
        locate("красный круглый", [("красный", "круг")])


def test_attributes_of_one_object_are_one_binding() -> None:
    (binding,) = locate("a red striped mug", [("striped", "mug"), ("red", "mug")])
    assert binding.pairs == (("red", "mug"), ("striped", "mug"))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("red", "cup")], "does not say 'red' of 'cup'"),
        ([("re", "mug")], "does not say 're' of 'mug'"),
        ([("red mug", "mug")], "does not say 'red mug' of 'mug'"),
        ([("red", "")], "pair of texts"),
        ([("red",)], "pair of texts"),
        (["ab"], "pair of texts"),
        ([("red", None)], "pair of texts"),
        ([7], "pair of texts"),
    ],
)
def test_pairs_that_the_prompt_does_not_say_are_refused(pairs: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        locate("a red mug", pairs)
