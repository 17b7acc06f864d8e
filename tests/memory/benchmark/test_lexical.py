"""The floor: BM25 against its formula, and what is taken out of it."""

from __future__ import annotations

from itertools import pairwise
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as some

from etalage.memory.benchmark.lexical import BM25, K1, B, characters, words

TEXTS = some.lists(some.text("ab ", max_size=8), min_size=1, max_size=6)


def by_the_formula(texts: list[str], question: str) -> list[float]:
    bags = [words(text) for text in texts]
    length = sum(map(len, bags)) / len(bags)
    scores = []
    for bag in bags:
        score = 0.0
        for word in set(words(question)):
            n, f = sum(word in other for other in bags), bag.count(word)
            if f:
                idf = log(1 + (len(bags) - n + 0.5) / (n + 0.5))
                score += idf * (K1 + 1) * f / (f + K1 * (1 - B + B * len(bag) / length))
        scores.append(score)
    return scores


def index_of(texts: list[str]) -> BM25:
    index = BM25(words)
    for n, text in enumerate(texts):
        index.add(str(n), text)
    return index


@given(TEXTS, some.text("ab ", max_size=6))
def test_the_order_is_that_of_the_formula(texts: list[str], question: str) -> None:
    found = [int(name) for name in index_of(texts).best(question, 10)]
    scores = by_the_formula(texts, question)
    assert set(found) == {n for n, score in enumerate(scores) if score > 0}
    assert all(scores[a] >= scores[b] - 1e-9 for a, b in pairwise(found))


@given(TEXTS, some.sets(some.integers(0, 5)))
def test_what_is_taken_out_has_never_been_there(texts: list[str], gone: set[int]) -> None:
    index = index_of(texts)
    index.remove({str(n) for n in gone})
    left = [n for n in range(len(texts)) if n not in gone]
    fresh = index_of([texts[n] for n in left])
    assert index.best("a b ab", 10) == [str(left[int(n)]) for n in fresh.best("a b ab", 10)]


def test_a_word_said_twice_in_the_question_counts_once() -> None:
    index = index_of(["tea", "cup cup"])
    assert index.best("tea tea tea cup", 2) == index.best("tea cup", 2)


def test_ties_go_to_the_older_and_nothing_to_what_shares_nothing() -> None:
    assert index_of(["a", "b", "a"]).best("a", 5) == ["0", "2"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [("", []), ("你", ["你"]), ("A b", ["a", "b", "ab"]), ("你好", ["你", "好", "你好"])],
)
def test_characters_and_their_pairs(text: str, parts: list[str]) -> None:
    assert characters(text) == parts
