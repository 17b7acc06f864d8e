"""Events of a log become memories once, with a taste as sure as the act."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.memory.conftest import START, Clock

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.ids import Vocabulary
from etalage.memory.events import observed, of_log
from etalage.memory.store import MemoryStore


def shop(values: list[float] | None) -> Dataset:
    log = Interactions.from_arrays(
        np.array([0, 0, 1], np.int32),
        np.array([0, 1, 1], np.int32),
        np.array([START, START + 1, START + 2]),
        values=None if values is None else np.array(values, np.float32),
        n_users=2,
        n_items=2,
    )
    table = pl.DataFrame({"title": ["Red mug", ""]})
    return Dataset("shop", log, Vocabulary(["ann", "bob"]), Vocabulary(["m1", "m2"]), table)


def test_a_log_is_remembered_once_however_often_it_is_written(store: MemoryStore) -> None:
    for _ in range(2):
        store.write_many(of_log(shop(None)))
    told = [(m.text, m.kind, m.source, m.said_at) for m in store.user("ann").memories()]
    assert told == [("bought Red mug", "event", "shop", START),
                    ("bought m2", "event", "shop", START + 1)]  # fmt: skip
    assert [hit.text for hit in store.user("ann").read("which mug did I get?")] == [
        "bought Red mug"
    ]


def test_ratings_say_what_is_liked_and_what_is_not(store: MemoryStore, clock: Clock) -> None:
    clock.now += 10
    store.write_many(of_log(shop([5.0, 2.0, 4.0])))
    likes = {b.object: b.polarity for b in store.user("ann").beliefs() if b.predicate == "likes"}
    assert likes == {"Red mug": 1, "m2": -1}


@pytest.mark.parametrize(
    ("act", "polarity", "strength"),
    [("bought", 1, 0.6), ("returned", -1, 0.7), ("clicked", 1, 0.1), ("shared", 0, 0.0)],
)
def test_an_act_tells_as_much_of_taste_as_it_does(act: str, polarity: int, strength: float) -> None:
    tastes = [f for f in observed(act, "Red mug", START).facts if f.predicate == "likes"]
    assert [(f.polarity, f.strength) for f in tastes] == (
        [(polarity, strength)] if polarity else []
    )


def test_what_is_said_outright_decides_over_what_was_done_before(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write(observed("bought", "Red mug", START - 5))
    ann.write("I don't like Red mug")
    likes = [(b.object, b.polarity) for b in ann.beliefs() if b.predicate == "likes"]
    assert likes == [("Red mug", -1)]
