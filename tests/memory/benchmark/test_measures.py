"""Measures, by hand: what was found, how sure the means are, and when an answer is right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from etalage.memory.benchmark.measures import MEASURES, Row, judged, mean, recall, summary
from etalage.memory.benchmark.readers import is_right, normal
from etalage.memory.trajectory import Question

ROW = Row("m", "u", "q", "simple", 0.5, 1.0, False, True, 0.5, True, False, False, None, 0, 10, 5.0)
EVIDENCE = (frozenset({"a", "b"}), frozenset({"c"}))


def asked(answer: str | None = "Lyon", aliases: tuple[str, ...] = ()) -> Question:
    return Question("q", "simple", "where?", 0, answer, aliases, EVIDENCE)


def test_the_alternative_of_which_most_was_found_counts() -> None:
    assert recall(["a", "x", "c"], EVIDENCE, 2) == 0.5
    assert recall(["a", "x", "c"], EVIDENCE, 3) == 1.0
    assert recall([], EVIDENCE, 5) == 0.0
    assert recall(["a"], (), 5) is None


def test_eight_messages_do_not_fit_into_five() -> None:
    evidence = (frozenset("abcdefgh"),)
    assert recall(list("abcdefgh"), evidence, 5) == 5 / 8
    found = judged(replace(asked(), evidence=evidence), list("abcdefgh"))
    assert found == {"recall_5": 5 / 8, "all_5": False, "recall_10": 1.0, "all_10": True,
                     "reciprocal_rank": 1.0}  # fmt: skip


def test_the_rank_is_that_of_the_first_message_of_any_alternative() -> None:
    assert judged(asked(), ["x", "y", "c", "a"])["reciprocal_rank"] == 1 / 3
    assert judged(asked(), ["x"])["reciprocal_rank"] == 0.0
    assert judged(replace(asked(), evidence=()), ["x"])["reciprocal_rank"] is None


def test_a_mean_is_over_questions_and_its_interval_over_users() -> None:
    rows = [replace(ROW, user="u1", recall_5=1.0) for _ in range(3)]
    rows += [replace(ROW, user="u2", recall_5=0.0)]
    rows += [replace(ROW, user="u3", recall_5=None)]
    found = mean(rows, MEASURES["recall@5"])
    assert found is not None
    assert (found.value, found.n) == (0.75, 4)
    # z of the two users is .75 + (3 - .75 · 3) · 2/4 = 1.125 and .75 - .75 · 2/4 = .375
    assert (found.low, found.high) == (pytest.approx(0.375), pytest.approx(1.125))


@given(some.lists(some.floats(0, 1), min_size=1, max_size=20))
def test_one_question_a_user_makes_it_the_plain_mean(values: list[float]) -> None:
    rows = [replace(ROW, user=f"u{n}", recall_5=x) for n, x in enumerate(values)]
    found = mean(rows, MEASURES["recall@5"])
    assert found is not None
    assert found.value == pytest.approx(sum(values) / len(values))
    if len(values) == 1:
        assert found.low is found.high is None
    else:
        assert found.low <= found.value + 1e-9
        assert found.value - 1e-9 <= found.high


def test_nothing_has_no_mean() -> None:
    assert mean([replace(ROW, recall_5=None)], MEASURES["recall@5"]) is None


def test_abstention_counts_both_ways() -> None:
    """Four abstained, of whom three had to; five had to, of whom three did."""
    said = [(True, True)] * 3 + [(True, False)] + [(False, True)] * 2 + [(False, False)] * 4
    rows = [replace(ROW, user=str(n), abstained=did, must_abstain=must)
            for n, (did, must) in enumerate(said)]  # fmt: skip
    found = summary(rows)["all"]
    assert found["abstention precision"].value == pytest.approx(3 / 4)
    assert found["abstention recall"].value == pytest.approx(3 / 5)


def test_a_message_of_another_is_a_leak_and_so_is_any_answer_that_only_another_told() -> None:
    leaks = MEASURES["leak"]
    assert not leaks(ROW)
    assert leaks(replace(ROW, n_foreign=1))
    assert leaks(replace(ROW, kind="cross_user", abstained=False, must_abstain=True))
    assert not leaks(replace(ROW, kind="cross_user", abstained=True, must_abstain=True))


def test_answers_are_compared_without_case_marks_and_articles() -> None:
    assert is_right(asked("The 3rd of May"), "3rd of may.")
    assert is_right(asked("Lyon", ("Lugdunum",)), "LUGDUNUM")
    assert not is_right(asked("Lyon"), "Lyons")
    assert is_right(asked(None), None)
    assert not is_right(asked(None), "Lyon")
    assert not is_right(asked("Lyon"), None)


def test_numbers_keep_their_points_and_signs() -> None:
    assert normal("1.5") != normal("15")
    assert normal("-5") != normal("5")
    assert normal("42岁。") == normal("４２岁")
