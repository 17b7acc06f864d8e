"""Noise: how much of it there is, whose it is, and what it leaves as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.memory.benchmark.talks import ANN, BOB, talk

from etalage.errors import DataError
from etalage.memory.benchmark.noise import infused
from etalage.seeds import generator

CARL = talk("carl", [f"I have been to place {n}" for n in range(20)], ("place", {1}))
USERS = [ANN, BOB, CARL]


@given(some.integers(0, 5), some.integers(0, 1000))
def test_own_messages_stay_in_order_among_so_many_of_others(ratio: int, seed: int) -> None:
    users = [ANN, BOB, *(talk(f"u{n}", ["one", "two", "three"], ("one", {0})) for n in range(9))]
    texts = {message.text for message in ANN.messages}
    mixed = next(infused(users, ratio, generator(seed, "noise")))
    own = [message for message in mixed.messages if message.id in {m.id for m in ANN.messages}]
    assert tuple(own) == ANN.messages
    assert len(mixed.messages) == 3 * (1 + ratio)
    assert sum(message.text in texts for message in mixed.messages) == 3
    assert len({message.id for message in mixed.messages}) == len(mixed.messages)
    times = [message.time for message in mixed.messages]
    assert times == sorted(times)
    assert mixed.questions == ANN.questions


def test_no_message_of_others_is_taken_twice_and_all_can_be() -> None:
    mixed = next(infused([ANN, BOB, talk("dan", ["a"], ("a", {0}))], 1, generator(0, "noise")))
    strange = sorted(message.text for message in mixed.messages if "other" in message.id)
    assert strange == sorted([message.text for message in BOB.messages] + ["a"])


def test_the_same_seed_mixes_alike() -> None:
    one, other = (list(infused(USERS[:2] + [CARL][:0], 0, generator(3, "n"))) for _ in range(2))
    assert one == other == USERS[:2]


def test_too_little_to_draw_from_is_said() -> None:
    with pytest.raises(DataError, match="carl needs 20 messages of others, and they have 5"):
        list(infused(USERS, 1, generator(0, "noise")))
    with pytest.raises(DataError, match="at least 0"):
        list(infused(USERS, -1, generator(0, "noise")))
