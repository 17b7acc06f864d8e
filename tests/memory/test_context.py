"""What is said beside a memory: it lifts what fits, never above itself, and finds nothing alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.memory.conftest import START, Clock

from etalage.memory.recall import CONTEXT_WEIGHT, TOGETHER_MS, _in_context
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore

SECOND = 1000


def test_a_lift_is_half_the_way_to_the_one_beside_and_to_half_of_the_next_but_one() -> None:
    fit, said = np.array([1.0, 0.2, 0.1, 0.1]), np.arange(4) * SECOND
    lifted = _in_context(fit, said)
    assert lifted == pytest.approx([1.0, 0.2 + 0.5 * 0.8, 0.1 + 0.5 * 0.4, 0.1 + 0.5 * 0.0])


def test_ten_minutes_are_one_conversation_and_a_moment_more_is_none() -> None:
    fit = np.array([1.0, 0.0])
    assert _in_context(fit, np.array([0, TOGETHER_MS]))[1] == CONTEXT_WEIGHT
    assert _in_context(fit, np.array([0, TOGETHER_MS + 1]))[1] == 0


@given(some.lists(some.floats(0, 2), min_size=1, max_size=8), some.integers(0, 5 * 60 * SECOND))
def test_nothing_passes_the_best_and_nothing_falls(values: list[float], step: int) -> None:
    fit, said = np.array(values), np.arange(len(values)) * step
    lifted = _in_context(fit, said)
    assert (lifted >= fit).all()
    assert lifted.max() == fit.max()


@pytest.fixture
def talk(store: MemoryStore, clock: Clock) -> MemoryStore:
    """A question of one, the answer to it, and the same words at another time."""
    turns = ["Which concert did you go to in Lyon?", "It was a concert of Nina Simone",
             "See you on Monday then"]  # fmt: skip
    clock.now += 86_400_000
    store.user("ann").write_many(
        [Statement(turn, said_at=START + at * 5 * SECOND) for at, turn in enumerate(turns)]
        + [Statement("It was a concert of Miles Davis", said_at=START + 40_000_000)]
    )
    return store


def test_the_answer_beside_a_question_comes_before_one_like_it(talk: MemoryStore) -> None:
    found = [hit.number for hit in talk.user("ann").read("concert in Lyon")]
    assert found.index(2) < found.index(4)


def test_what_shares_nothing_with_a_question_is_not_found_for_its_place(talk: MemoryStore) -> None:
    assert 3 not in [hit.number for hit in talk.user("ann").read("concert in Lyon")]


def test_a_chinese_answer_is_found_by_a_character_that_no_pair_shares(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write("我妈在杭州")
    assert [hit.number for hit in ann.read("你母亲人在哪儿")] == [1]
