"""What holds at a time: the newest fact of a slot decides, and nothing is lost by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.errors import DataError
from etalage.memory.facts import Fact, beliefs, outdated


def home(place: str, at: int, memory: int, **parts: object) -> Fact:
    return Fact("lives_in", place, is_single=True, valid_from=at, memory=memory, **parts)  # type: ignore[arg-type]


def held(facts: list[Fact], at: int) -> list[tuple[str, int]]:
    return [(belief.object, belief.polarity) for belief in beliefs(facts, at)]


def test_a_new_home_takes_the_place_of_the_old_one_and_the_old_one_still_held_before() -> None:
    facts = [home("Lyon", 10, 1), home("Nice", 20, 2)]
    assert held(facts, 9) == []
    assert held(facts, 10) == [("Lyon", 1)]
    assert held(facts, 20) == [("Nice", 1)]
    assert outdated(facts, 19) == set()
    assert outdated(facts, 20) == {1}


def test_what_was_true_for_a_time_gives_way_to_what_was_true_before() -> None:
    facts = [home("Lyon", 10, 1), home("Rome", 20, 2, valid_to=30)]
    assert [held(facts, at) for at in (15, 25, 30)] == [
        [("Lyon", 1)], [("Rome", 1)], [("Lyon", 1)]]  # fmt: skip


def test_likes_add_up_and_a_change_of_taste_replaces_only_its_own_object() -> None:
    facts = [Fact("likes", "jazz", valid_from=1, memory=1),
             Fact("likes", "opera", valid_from=2, memory=2),
             Fact("likes", "Jazz ", polarity=-1, valid_from=3, memory=3)]  # fmt: skip
    assert sorted(held(facts, 2)) == [("jazz", 1), ("opera", 1)]
    assert sorted(held(facts, 3)) == [("Jazz ", -1), ("opera", 1)]
    assert outdated(facts, 3) == {1}


def test_saying_it_again_makes_it_surer() -> None:
    facts = [Fact("likes", "jazz", strength=0.5, valid_from=at, memory=at) for at in (1, 2, 3)]
    (belief,) = beliefs(facts, 9)
    assert belief.strength == pytest.approx(1 - 0.5**3)
    assert (belief.since, belief.memories) == (1, (1, 2, 3))


def test_a_denial_of_another_home_leaves_the_home() -> None:
    facts = [home("Lyon", 10, 1), home("Nice", 20, 2, polarity=-1)]
    assert held(facts, 25) == [("Lyon", 1), ("Nice", -1)]


def test_relatives_are_not_mixed_up() -> None:
    mine, hers = home("Lyon", 1, 1), Fact("lives_in", "Nice", "user.sister", is_single=True,
                                          valid_from=2, memory=2)  # fmt: skip
    assert {belief.subject: belief.object for belief in beliefs([mine, hers], 9)} == {
        "user": "Lyon", "user.sister": "Nice"}  # fmt: skip


def test_a_memory_with_something_true_left_is_not_outdated() -> None:
    facts = [home("Lyon", 1, 1), Fact("likes", "jazz", valid_from=1, memory=1), home("Nice", 2, 2)]
    assert outdated(facts, 9) == set()


PLACES = st.sampled_from(["Lyon", "Nice", "Rome"])
FACTS = st.lists(
    st.builds(
        Fact,
        predicate=st.sampled_from(["lives_in", "likes"]),
        object=PLACES,
        polarity=st.sampled_from([1, -1]),
        is_single=st.booleans(),
        valid_from=st.integers(0, 20),
        valid_to=st.none() | st.integers(0, 20),
        memory=st.integers(1, 9),
    ),
    max_size=12,
)


@given(FACTS, st.integers(0, 25), st.randoms())
def test_order_of_writing_does_not_matter_and_later_facts_change_nothing_before(
    facts: list[Fact], at: int, rng: object
) -> None:
    numbered = [Fact(**{name: getattr(fact, name) for name in Fact.__slots__} | {"memory": place})
                for place, fact in enumerate(facts, 1)]  # fmt: skip
    mixed = list(numbered)
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    assert beliefs(mixed, at) == beliefs(numbered, at)
    before = [fact for fact in numbered if (fact.valid_from or 0) <= at]
    assert beliefs(before, at) == beliefs(numbered, at)
    # one polarity an object, and one object where a single one was said last
    for slot in {(b.subject, b.predicate) for b in beliefs(numbered, at)}:
        objects = [b.object for b in beliefs(numbered, at) if (b.subject, b.predicate) == slot]
        assert len(objects) == len(set(objects))


@pytest.mark.parametrize(
    "parts",
    [
        {"predicate": ""},
        {"object": "  "},
        {"subject": ""},
        {"polarity": 0},
        {"strength": 0.0},
        {"strength": 1.5},
        {"predicate": "half \ud83c"},
        {"valid_from": "soon"},
        {"valid_to": 2.5},
        {"valid_to": 2**60},
    ],
)
def test_a_fact_that_says_nothing_is_refused(parts: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"expected|must be"):
        Fact(**({"predicate": "likes", "object": "jazz"} | parts))  # type: ignore[arg-type]
