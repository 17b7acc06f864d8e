"""The checker: it finds every planted fault, says which, and is silent otherwise."""

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random

import pytest
from tests.benchmarks.scripts import module

from etalage.memory.simulate import Checker, Fault, SimulatorConfig, check, simulate
from etalage.memory.simulate.reading import facts_of
from etalage.memory.trajectory import Message, Question, Trajectory

KINDS = {
    "other_value": {"facts"}, "other_fact": {"facts"}, "wrong_week": {"facts"}, "same_id": {"id"},
    "time_back": {"time"}, "asked_early": {"time"}, "wrong_answer": {"answer"},
    "guessed": {"answer"}, "evidence_lost": {"insufficient"}, "evidence_more": {"unneeded"},
    "alternative_lost": {"incomplete"}, "evidence_unknown": {"evidence"},
    "option_twice": {"options"}, "option_lost": {"options"}, "other_question": {"question"},
    "other_kind": {"kind"},
    "told_in_question": {"told"}, "not_ours": {"foreign"}, "contradicted": {"contradiction"},
}  # fmt: skip
"""What each planted fault is found as, among whatever else follows from it."""


def test_every_planted_fault_is_found_for_what_it_is() -> None:
    n = Counter[str]()
    missed = defaultdict(list)
    for domain in ("daily", "shopping"):
        right = simulate(SimulatorConfig(domain=domain), n_users=16, seed=11)
        for name, spoilt in module("memory_faults").planted(right, Random(1)):
            n[name] += 1
            found = {fault.kind for fault in Checker().check(spoilt)}
            if not found & KINDS[name]:
                missed[name].append((spoilt.user, found))
    assert n.keys() == KINDS.keys() == module("memory_faults").FAULTS.keys()
    assert not missed


def test_a_number_that_is_anothers_is_found_across_users() -> None:
    first, second = simulate(n_users=2, seed=11)
    number = "My phone number is 13100000001."
    texts = [
        replace(made, questions=(), messages=tuple(
            [*made.messages, Message(f"{made.user}-z", made.messages[-1].time + 9, "user", number,
                                     tuple(facts_of(number, 0)))]
        ))
        for made in (first, second)
    ]  # fmt: skip
    clean = [
        replace(made, messages=tuple(m for m in made.messages
                                     if not any(f.attribute == "phone" for f in m.facts)
                                     or m.id.endswith("z")))
        for made in texts
    ]  # fmt: skip
    found = [fault for fault in check(clean) if fault.kind == "foreign"]
    assert found == [Fault(second.user, f"{second.user}-z", "foreign",
                           f"13100000001 belongs to {first.user}")]  # fmt: skip


def test_records_from_elsewhere_are_checked_as_far_as_they_go() -> None:
    """As of MemDaily: no facts, no programs, times that go back and the answer twice."""
    messages = (Message("0", 9, "user", "我叔叔叫王明。"), Message("1", 5, "user", "他住在北京。"))
    asked = Question("q", "simple", "叔叔住哪？", 20, "北京", (), (frozenset({"1"}),),
                     ("北京", "上海", "北京", "广州"), "zh")  # fmt: skip
    faults = list(check([Trajectory("t1", messages, (asked,), "elsewhere")]))
    assert [(fault.where, fault.kind) for fault in faults] == [
        ("1", "time"), ("q", "options"), ("q", "options")
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_right_is_passed_over(seed: int) -> None:
    assert list(check(simulate(n_users=8, seed=seed))) == []
