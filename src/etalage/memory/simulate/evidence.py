"""Which messages are enough to answer? Smallest sufficient sets, with their alternatives.

A fact that was said twice can be had from either message, so one question can have several sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from math import prod

from etalage.memory.simulate.programs import Knowledge, Program, run
from etalage.memory.simulate.world import Cell

MOST = 64
"""Combinations that are looked through; a question with more is not asked."""
Evidence = tuple[frozenset[str], ...]


def evidence_of(
    program: Program, knowledge: Knowledge, time: int, used: Iterable[tuple[Cell, int]]
) -> Evidence | None:
    """Returns the smallest sufficient sets of message ids, in order.

    None where there are too many, or where a set is not enough by itself, or is not needed: what
    else the same messages say can make it so.

    Args:
        used: The cells that the answer rests on, each with the time it was looked at.
    """
    supports = [knowledge.support(cell, at) for cell, at in dict.fromkeys(used)]
    if not 0 < prod(map(len, supports)) <= MOST:
        return None
    combined = {frozenset(chosen) for chosen in product(*supports)}
    sets = tuple(
        sorted((one for one in combined if not any(other < one for other in combined)), key=sorted)
    )
    answer = run(program, knowledge, time)
    flaws = flaws_of(sets, program, answer, knowledge, time)
    return None if next(flaws, None) else sets


def flaws_of(
    sets: Evidence, program: Program, answer: str | None, knowledge: Knowledge, time: int
) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with sets as the evidence of an answer: the kind of it, and the place.

    A set must be enough, each of its messages must be needed in it, and there must be no further
    set: once each set has lost a message, the answer must be another.
    """
    for chosen in sets:
        if run(program, knowledge.of(chosen), time) != answer:
            yield "insufficient", f"{sorted(chosen)} do not give {answer!r}"
        elif len(chosen) > 1:
            for one in chosen:
                if run(program, knowledge.of(chosen - {one}), time) == answer:
                    yield "unneeded", f"{one} is not needed for {answer!r}"
    for lost in _spoilers(sets) if sets else ():
        if run(program, knowledge.without(lost), time) == answer:
            yield "incomplete", f"{answer!r} also follows without {sorted(lost)}"


def _spoilers(sets: Evidence) -> set[frozenset[str]]:
    """The smallest sets of messages that have one of each set (Berge, 1989)."""
    found = {frozenset[str]()}
    for chosen in sets:
        grown = {lost if lost & chosen else lost | {one} for lost in found for one in chosen}
        found = {lost for lost in grown if not any(other < lost for other in grown)}
    return found
