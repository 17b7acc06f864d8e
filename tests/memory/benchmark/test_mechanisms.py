"""Mechanisms: each brings back what it should, to its own user alone, and forgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.memory.benchmark.talks import ANN, BOB

from etalage.errors import DataError
from etalage.memory.benchmark.mechanisms import NAMES, Mechanism, maker

MUG, AUNT = ANN.questions
MEMORIES = [name for name in NAMES if name not in ("none", "noisy")]
RETRIEVAL = ("words", "characters", "encoder", "etalage")


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mechanism]:
    """A mechanism that knows Ann and Bob."""
    mechanism = maker(request.param)(tmp_path)
    mechanism.write("ann", ANN.messages[:2])
    mechanism.write("bob", BOB.messages)
    mechanism.write("ann", ANN.messages[2:])
    yield mechanism
    mechanism.close()


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("none", []),
        ("noisy", ["ann/2", "ann/0"]),
        ("recent", ["ann/2", "ann/1"]),
        ("full", ["ann/0", "ann/1", "ann/2"]),
        ("oracle", ["ann/1"]),
    ],
    indirect=["made"],
)
def test_bounds_bring_back_what_they_are_named_for(made: Mechanism, found: list[str]) -> None:
    assert made.read("ann", MUG, 2) == found


@pytest.mark.parametrize("made", RETRIEVAL, indirect=True)
def test_memories_find_the_message_that_answers(made: Mechanism) -> None:
    assert made.read("ann", MUG, 1) == ["ann/1"]
    assert made.read("ann", AUNT, 1) == ["ann/0"]
    assert made.read("bob", BOB.questions[0], 1) == ["bob/1"]


@pytest.mark.parametrize("made", NAMES, indirect=True)
def test_nobody_reads_what_another_said(made: Mechanism) -> None:
    for question in (MUG, AUNT):
        assert all(name.startswith("ann/") for name in made.read("ann", question, 10))
        assert made.read("carl", question, 10) == []


@pytest.mark.parametrize("made", MEMORIES, indirect=True)
def test_what_is_forgotten_does_not_come_back(made: Mechanism) -> None:
    assert "ann/1" in made.read("ann", MUG, 10)
    made.forget("ann", ["ann/1"])
    assert "ann/1" not in made.read("ann", MUG, 10)
    assert made.read("bob", BOB.questions[0], 1)  # another's mug stays


@pytest.mark.parametrize("made", RETRIEVAL, indirect=True)
def test_a_memory_never_looks_at_the_evidence(made: Mechanism) -> None:
    blind = replace(MUG, evidence=(frozenset({"ann/2"}),), answer=None)
    assert made.read("ann", blind, 3) == made.read("ann", MUG, 3)


def test_a_name_that_is_none_is_said_with_those_that_are() -> None:
    with pytest.raises(DataError, match="did you mean 'oracle'"):
        maker("oracel")
