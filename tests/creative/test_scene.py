"""The item decides how it looks, a group decides what is around it, and no one person does."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.creative.compose import compose
from etalage.creative.scene import LEAST, TASTES, Scene, Segment, Thing, scenes_for
from etalage.creative.vocabulary import WORDS
from etalage.errors import DataError

MUG = Thing("mug", ("red", "ceramic"))
COUNTS = st.integers(LEAST, 100)
SEGMENTS = st.fixed_dictionaries(
    {},
    optional={
        "place": st.dictionaries(st.sampled_from(sorted(WORDS.places)), COUNTS, max_size=3),
        "light": st.dictionaries(st.sampled_from(WORDS.lights), COUNTS, max_size=3),
        "style": st.dictionaries(st.sampled_from(WORDS.attributes["style"]), COUNTS, max_size=3),
        "colour": st.dictionaries(st.sampled_from(WORDS.attributes["colour"]), COUNTS, max_size=3),
    },
).map(lambda likes: Segment(100, likes))


def test_the_item_is_shown_as_it_is_amid_what_is_liked() -> None:
    likes = {
        "place": {"garden": 60, "kitchen": 80},
        "light": {"daylight": 30},
        "style": {"rustic": 40},
        "colour": {"blue": 50, "green": 50},
    }
    (scene,) = scenes_for(MUG, Segment(100, likes))
    assert compose(scene).prompt == (
        "a red ceramic mug beside a rustic blue bowl, in a kitchen, in daylight"
    )


def test_scenes_come_by_the_product_of_their_counts() -> None:
    likes = {"place": {"kitchen": 80, "garden": 60}, "colour": {"blue": 50, "green": 40}}
    found = scenes_for(MUG, Segment(100, likes), 9)
    assert [(s.place, s.things[1].attributes[0]) for s in found] == [
        ("kitchen", "blue"), ("kitchen", "green"), ("garden", "blue"), ("garden", "green"),
    ]  # fmt: skip


def test_the_order_of_counts_changes_nothing() -> None:
    one = Segment(100, {"light": {"daylight": 30, "candlelight": 30}})
    other = Segment(100, {"light": {"candlelight": 30, "daylight": 30}})
    assert scenes_for(MUG, one, 5) == scenes_for(MUG, other, 5)


def test_what_stands_beside_is_never_of_the_noun_that_is_sold() -> None:
    likes = {"place": {"kitchen": 80}, "colour": {"blue": 50}}
    (scene,) = scenes_for(Thing("Bowl"), Segment(100, likes))
    assert [thing.noun for thing in scene.things] == ["Bowl", "jar"]


def test_two_spellings_of_a_word_are_one_and_not_added_up() -> None:
    segment = Segment(100, {"colour": {"grey": 40, "Gray": 50, "blue": 60}})
    assert segment.best("colour") == [(60, "blue"), (50, "grey")]


def test_a_segment_that_likes_nothing_shows_the_item_alone() -> None:
    assert scenes_for(MUG, Segment(LEAST, {}), 3) == (Scene((MUG,)),)


@given(SEGMENTS, st.integers(1, 12))
def test_scenes_are_distinct_composable_and_the_first_of_more(segment: Segment, n: int) -> None:
    found = scenes_for(MUG, segment, n)
    told = [segment.likes.get(taste) for taste in TASTES]
    n_ways = prod(len(counts or "-") for counts in (told if told[0] else told[:2]))
    assert len(found) == min(n, n_ways)
    assert len(set(found)) == len(found)
    assert all(scene.things[0] == MUG and compose(scene).prompt for scene in found)
    assert scenes_for(MUG, segment, n + 5)[: len(found)] == found


@pytest.mark.parametrize(
    ("n_people", "likes", "message"),
    [
        (LEAST - 1, {}, "at least 20 people"),
        (1, {"colour": {"blue": 1}}, "at least 20 people"),
        (True, {}, "at least 20 people"),
        (100, {"colour": {"blue": LEAST - 1}}, "20 to 100 people who like the colour 'blue'"),
        (100, {"colour": {"blue": 101}}, "20 to 100 people"),
        (100, {"colour": {"blue": 30.5}}, "20 to 100 people"),
        (100, {"colour": ["blue", "blue"]}, "what one of them did is not taken"),
        (100, ["bought a red mug"], "counts by taste and word"),
        (100, {"history": {"red mug": 30}}, "no taste 'history'"),
        (100, {"colors": {"red": 30}}, "did you mean 'colour'"),
        (100, {"colour": {"bluee": 30}}, "no colour 'bluee'; the nearest are blue"),
        (100, {"style": {"blue": 30}}, "'blue' is not a style but a colour"),
        (100, {"place": {"12 Rue Haute, Lyon": 30}}, "no place '12 Rue Haute, Lyon'"),
        (100, {"light": {3: 30}}, "no light 3"),
    ],
)
def test_what_one_person_did_cannot_be_told(n_people: int, likes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Segment(n_people, likes)


@pytest.mark.parametrize("given", [["item 3", "item 9"], {"user": 7}, "likes blue", None])
def test_scenes_are_made_for_segments_only(given: object) -> None:
    with pytest.raises(DataError, match="made for a Segment"):
        scenes_for(MUG, given)  # type: ignore[arg-type]


def test_there_is_at_least_one_scene() -> None:
    with pytest.raises(DataError, match="at least 1 scene; got 0"):
        scenes_for(MUG, Segment(LEAST, {}), 0)


@pytest.mark.parametrize(
    ("noun", "facts", "message"),
    [
        ("mug", {"colour": "redd"}, "no colour 'redd'; the nearest are red"),
        ("mug", {"colour": "ceramic"}, "not a colour but a material"),
        ("mug", {"price": "9.99"}, "no kind of attribute 'price'"),
        ("mug", {"colour": 3}, "a word or some"),
        ("mug", {"colour": [None]}, "no colour None"),
        ("mug", "red", "values by kind"),
        ("gizmo", {}, "no thing 'gizmo'"),
    ],
)
def test_attributes_of_an_item_are_checked_by_kind(noun: str, facts: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Thing.of_item(noun, facts)
