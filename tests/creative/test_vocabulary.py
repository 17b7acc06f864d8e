"""A vocabulary by which a prompt could be read in two ways cannot be made."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from etalage.creative.vocabulary import SAME, WORDS, Place
from etalage.errors import DataError


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("Kettle stand", "small letters"),
        ("mug; drop", "small letters"),
        ("", "small letters"),
        ("mug", "'mug' twice"),
        ("t shirt", "'t shirt' twice"),
        ("glass bowl", "begins with the attribute 'glass'"),
        ("steel beam", "begins with the attribute 'steel'"),
        ("light bulb", "begins with the attribute 'light'"),
        ("cup and saucer", "'and' in it"),
        ("no smoking sign", "'no' in it"),
    ],
)
def test_a_thing_that_could_be_misread_is_refused(word: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        WORDS.with_things(word)


def test_an_attribute_is_of_one_kind_and_begins_with_no_other() -> None:
    with pytest.raises(DataError, match="'red' twice"):
        replace(WORDS, attributes={**WORDS.attributes, "mood": ("red",)})
    with pytest.raises(DataError, match="'rose gold' begins with the attribute 'rose'"):
        replace(WORDS, attributes={"colour": ("rose", "rose gold")})


def test_places_and_lights_hold_no_attribute() -> None:
    with pytest.raises(DataError, match="'red light' holds an attribute"):
        replace(WORDS, lights=("red light",))
    with pytest.raises(DataError, match="no thing 'palm'"):
        replace(WORDS, places={"beach": Place("on a beach", ("towel", "palm"))})


def test_every_other_spelling_means_a_word_of_the_vocabulary() -> None:
    assert {word: WORDS.attribute(word) for word in SAME} == SAME


def test_a_value_of_another_kind_says_which() -> None:
    with pytest.raises(DataError, match="'ceramic' is not a colour but a material"):
        WORDS.attribute("ceramic", "colour")
    with pytest.raises(DataError, match="no kind of attribute 'color'; the nearest are colour"):
        WORDS.attribute("red", "color")


def test_a_long_list_with_hyphens_takes_time_by_its_length() -> None:
    began = time.process_time()
    assert len(WORDS.listed("-".join(["red"] * 3000))) == 3000
    assert time.process_time() - began < 1  # a sweep of all that follows each piece: minutes
