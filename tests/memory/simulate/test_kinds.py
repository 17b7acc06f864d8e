"""Draws of programs: bounds that can be said, and numbers that are as likely as one another."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from etalage.memory.simulate.kinds import Facts, aggregative, beyond, comparative
from etalage.memory.simulate.programs import value_of
from etalage.memory.simulate.schema import Attribute
from etalage.memory.simulate.surface import LANGUAGES, surface
from etalage.memory.simulate.telling import told


@pytest.mark.parametrize("bound", ["above", "below"])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [1, 40, 60]),
        ("integer", [2, 3]),
        ("date", ["2026-01-01", "2026-03-01"]),
        ("moment", ["2026-12-30T09:00", "2026-12-31T09:00"]),
    ],
)
def test_a_bound_beyond_all_can_be_said_and_read(kind: Any, values: list, bound: str) -> None:
    attribute = Attribute("event", "x", kind, unit="days")
    for step in (1, 2, 3):
        limit: Any = beyond(attribute, values, bound, step)
        assert limit < min(values) if bound == "above" else limit > max(values)
        for language in LANGUAGES:
            words = surface(language)
            assert words.parsed(attribute, words.said(attribute, limit)) == limit


def drawn(kind: Any, domain: str, n: int) -> list[tuple[dict[str, Any], Any]]:
    """Programs of a kind, with their answers, of users of a domain."""
    found = []
    for user in range(n):
        mine, random = told(1, user, domain, ("en",)), Random(user)
        facts = Facts(mine, [], random, mine.messages[-1].time)
        for _ in range(12):
            ask = kind(facts)
            if ask is not None:
                answer = value_of({"language": "en", "ask": ask}, mine.knowledge, facts.time)
                found.append((ask, answer and answer[0]))
    return found


def test_every_count_is_as_likely() -> None:
    rows = [(len(a["among"]), n) for a, n in drawn(aggregative, "daily", 250) if a["op"] == "count"]
    for size in (3, 4):
        counts = Counter(n for of, n in rows if of == size)
        total = counts.total()
        assert counts.keys() == set(range(size + 1))
        assert max(counts.values()) / total < 1.3 / (size + 1), counts


def test_the_same_is_right_one_time_in_three() -> None:
    rows = [(a, n) for a, n in drawn(comparative, "shopping", 400) if a.get("tie")]
    share = sum(n == "the same" for _, n in rows) / len(rows)
    assert len(rows) > 150
    assert share == pytest.approx(1 / 3, abs=0.08)
    first = [a["among"][0] == n for a, n in rows if n != "the same"]
    assert sum(first) / len(first) == pytest.approx(1 / 2, abs=0.1)
