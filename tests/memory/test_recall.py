"""Which memories answer: scores by hand, by an independent BM25, and as of other times."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest
from tests.memory.conftest import DAY, START, Clock

from etalage.errors import DataError
from etalage.language.words import stem, words_of
from etalage.memory.facts import Fact
from etalage.memory.index import Index, hashed_words
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore

TEXTS = [
    "I like running in the park, running is fun",
    "My sister bought running shoes",
    "The park opens at nine",
    "我喜欢跑步",
    "shoes shoes shoes shoes",
    "nothing of the kind",
]


def bm25(texts: list[str], question: str) -> list[float]:
    """The formula, one text and one word at a time."""
    bags = [Counter(stem(word) for word in words_of(text)) for text in texts]
    mean = sum(sum(bag.values()) for bag in bags) / len(bags)
    scores = []
    for bag in bags:
        score, length = 0.0, sum(bag.values())
        for word in {stem(word) for word in words_of(question)}:
            n = sum(word in other for other in bags)
            idf = log(1 + (len(bags) - n + 0.5) / (n + 0.5))
            f = bag[word]
            score += idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * length / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize(
    "question", ["running shoes", "the park", "跑步", "unknown", "sister fun park"]
)
@pytest.mark.parametrize("step", [1, 2, 6])
def test_words_are_scored_as_the_formula_says_however_they_came(question: str, step: int) -> None:
    salt, index = b"s" * 32, Index(4, 1)
    for low in range(0, len(TEXTS), step):
        rows = []
        for place, text in enumerate(TEXTS[low : low + step], low + 1):
            words = hashed_words([stem(word) for word in words_of(text)], salt)
            rows.append((place, 0, 0, 0, 0, None, words.tobytes(), bytes(8), 1))
        index.append(rows, ())
    asked = hashed_words([stem(word) for word in words_of(question)], salt)
    assert index.match(asked) == pytest.approx(bm25(TEXTS, question), abs=1e-5)


def test_closeness_is_the_cosine_and_of_other_encoders_zero() -> None:
    index, rng = Index(8, encoder=2), np.random.default_rng(0)
    vectors = rng.normal(size=(5, 8)).astype(np.float16)
    rows = [(at + 1, 0, 0, 0, 0, None, b"", vectors[at].tobytes(), 2 if at != 3 else 1)
            for at in range(5)]  # fmt: skip
    index.append(rows[:2], ())
    index.append(rows[2:], ())
    asked = rng.normal(size=8).astype(np.float32)
    expected = vectors.astype(np.float32) @ asked
    expected[3] = 0
    assert index.closeness(asked) == pytest.approx(expected, abs=1e-5)


def test_nothing_near_is_nothing_found(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write("I like jazz")
    assert ann.read("quantum chromodynamics") == []
    assert ann.read("what is it?") == []


def test_one_letter_off_is_still_near(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write("The veterinarian is called Fitzgerald")
    ann.write("We had pasta for dinner")
    (hit,) = ann.read("Fitzgerlad the vetrinarian")
    assert (hit.number, hit.words) == (1, 0)


def test_what_was_replaced_is_left_out_now_and_found_as_of_then(
    store: MemoryStore, clock: Clock
) -> None:
    ann = store.user("ann")
    ann.write("I live in Lyon")
    clock.now += 10 * DAY
    ann.write("I moved to Nice")
    question = "where do I live?"
    assert [hit.text for hit in ann.read(question)] == ["I moved to Nice"]
    assert [hit.text for hit in ann.read(question, as_of=START + DAY)] == ["I live in Lyon"]
    assert ann.read(question, as_of=START - 1) == []


def test_what_was_known_then_is_not_what_is_known_of_then(store: MemoryStore, clock: Clock) -> None:
    ann = store.user("ann")
    ann.write("I live in Lyon")
    clock.now += 10 * DAY
    ann.write(Statement("I had moved to Nice already", said_at=START + DAY))
    then = START + 2 * DAY
    assert ann.read("live", as_of=then)[0].number == 2
    assert ann.read("live", as_of=then, known_at=then)[0].number == 1


def test_a_fact_of_the_future_outdates_nothing_yet(store: MemoryStore, clock: Clock) -> None:
    ann = store.user("ann")
    ann.write("I live in Lyon")
    moving = Fact("lives_in", "Nice", is_single=True, valid_from=START + 30 * DAY)
    ann.write(Statement("I will live in Nice next month", facts=(moving,)))
    assert {hit.number for hit in ann.read("live")} == {1, 2}
    clock.now += 31 * DAY
    assert {hit.number for hit in ann.read("live")} == {2}


def test_of_two_that_fit_alike_the_newer_comes_first_and_then_the_older(
    store: MemoryStore, clock: Clock
) -> None:
    ann = store.user("ann")
    ann.write_many(["jazz tonight", "jazz tonight"])
    clock.now += 60 * DAY
    ann.write("jazz tonight")
    assert [hit.number for hit in ann.read("jazz")] == [3, 1, 2]


def test_kinds_and_sources_are_chosen(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write("jazz today")
    ann.write("jazz record", kind="event", source="shop")
    assert [hit.number for hit in ann.read("jazz", kinds=["event"])] == [2]
    assert [hit.number for hit in ann.read("jazz", sources=["user"])] == [1]
    assert ann.read("jazz", kinds=[]) == []


def test_k_is_at_most(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write_many(f"jazz {at}" for at in range(30))
    assert [len(ann.read("jazz", k)) for k in (1, 7, 1000)] == [1, 7, 30]
    with pytest.raises(DataError, match="at least 1"):
        ann.read("jazz", 0)


@pytest.mark.parametrize("question", ["", "  ", None, 7])
def test_an_empty_question_is_refused(store: MemoryStore, question: object) -> None:
    with pytest.raises(DataError, match="ask in words"):
        store.user("ann").read(question)  # type: ignore[arg-type]


def test_answers_do_not_depend_on_what_others_write_or_forget(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write_many(TEXTS)
    before = ann.read("running shoes in the park")
    store.write_many(
        (f"user {at % 7}", Statement(f"running in the park {at}")) for at in range(200)
    )
    assert ann.read("running shoes in the park") == before
    store.user("user 3").erase()
    store.shelf.drop_all()
    assert ann.read("running shoes in the park") == before
