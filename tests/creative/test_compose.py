"""A scene is said in words of the vocabulary alone, and what is said is found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.creative.bindings import check_bindings
from etalage.creative.compose import compose
from etalage.creative.free_text import find_bindings
from etalage.creative.scene import Scene, Thing
from etalage.creative.vocabulary import WORDS
from etalage.errors import DataError

THINGS = st.builds(
    Thing,
    st.sampled_from(WORDS.things),
    st.lists(st.sampled_from(sorted(WORDS.kinds)), max_size=6).map(tuple),
)
SCENES = st.builds(
    Scene,
    st.lists(THINGS, min_size=1, max_size=4).map(tuple),
    st.none() | st.sampled_from(sorted(WORDS.places)),
    st.none() | st.sampled_from(WORDS.lights),
)


@given(SCENES)
def test_composing_then_reading_gives_the_same_bindings(scene: Scene) -> None:
    composed = compose(scene)
    assert find_bindings(composed.prompt) == composed.bindings
    check_bindings(composed.prompt, composed.bindings)
    assert compose(scene) == composed


@given(SCENES)
def test_every_attribute_is_said_or_named_as_left_out(scene: Scene) -> None:
    composed = compose(scene)
    asked = {(a, thing.noun) for thing in scene.things for a in thing.attributes}
    said = {pair for binding in composed.bindings for pair in binding.pairs}
    assert said | set(composed.left_out) == asked
    for binding in composed.bindings:
        kinds = [WORDS.kinds[phrase.text] for phrase in binding.attributes]
        assert kinds == [kind for kind in WORDS.attributes if kind in kinds]


def test_things_stand_in_the_order_of_the_scene_and_each_has_its_article() -> None:
    things = (Thing("umbrella", ("orange",)), Thing("mug"), Thing("vase", ("oval", "ivory")))
    composed = compose(Scene(things, "office", "daylight"))
    assert composed.prompt == (
        "an orange umbrella beside a mug and an oval ivory vase, in an office, in daylight"
    )
    assert [binding.pairs for binding in composed.bindings] == [
        (("orange", "umbrella"),),
        (("oval", "vase"), ("ivory", "vase")),
    ]


@pytest.mark.parametrize(
    ("word", "prompt"),
    [("umbrella", "an umbrella"), ("uniform", "a uniform"), ("hourglass", "an hourglass")],
)
def test_an_article_goes_by_the_sound(word: str, prompt: str) -> None:
    words = WORDS if word in WORDS.things else WORDS.with_things(word)
    assert compose(Scene((Thing(word),)), words).prompt == prompt


def test_of_two_attributes_of_a_kind_the_first_counts() -> None:
    composed = compose(Scene((Thing("mug", ("red", "blue", "red", "wooden", "green")),)))
    assert composed.prompt == "a red wooden mug"
    assert composed.left_out == (("blue", "mug"), ("green", "mug"))


def test_other_spellings_are_written_as_the_vocabulary_has_them() -> None:
    assert compose(Scene((Thing("T-Shirt", ("Dark-Gray",)),))).prompt == "a dark grey t-shirt"


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (Scene(()), "at least one thing"),
        ("a red mug", "expected a Scene"),
        (Scene((Thing("mug", ("redd",)),)), "no attribute 'redd'; the nearest are red"),
        (Scene((Thing("mug", ("",)),)), "no attribute ''"),
        (Scene((Thing("mug", ("red, a photo of Ann",)),)), "no attribute 'red, a photo of Ann'"),
        (Scene((Thing("mugg", ("red",)),)), "no thing 'mugg'; the nearest are mug.*with_things"),
        (Scene((Thing("杯子"),)), "no thing '.u676f.u5b50'"),
        (Scene((Thing("mug"),), place="kitchn"), "no place 'kitchn'; the nearest are kitchen"),
        (Scene((Thing("mug"),), light="day light"), "no light 'day light'; the nearest are dayl"),
        (Scene((Thing("mug", (3,)),)), "no attribute 3"),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_of_the_vocabulary_is_refused(scene: Scene, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compose(scene)
