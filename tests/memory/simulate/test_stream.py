"""Whole trajectories: right by an independent check, the same bytes anywhere, and no leaks."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import islice
from math import sqrt

import pytest
from pydantic import ValidationError

from etalage.errors import DataError
from etalage.memory.simulate import SimulatorConfig, check, read, simulate
from etalage.memory.simulate.audit import RULES, audit
from etalage.memory.simulate.kinds import ABSTAINING, KINDS
from etalage.memory.trajectory import Question, to_line

CONFIGS = [
    SimulatorConfig(domain="daily"),
    SimulatorConfig(domain="shopping"),
    SimulatorConfig(domain="daily", languages=("zh",), noise=9),
    SimulatorConfig(domain="shopping", languages=("en",), noise=9),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.domain}-{c.noise}")
def test_nothing_is_wrong(config: SimulatorConfig) -> None:
    n_questions = 1500 if not config.noise else 200
    n = Counter[str]()

    def counted():
        for made in simulate(config, n_questions=n_questions, seed=6):
            n.update(question.kind for question in made.questions)
            yield made

    assert list(check(counted())) == []
    assert n.keys() == KINDS.keys()
    assert min(n.values()) >= 0.9 * max(n.values())


def questions(domain: str, n: int) -> list[Question]:
    config = SimulatorConfig(domain=domain)
    return [q for made in simulate(config, n_questions=n, seed=9) for q in made.questions]


@pytest.mark.parametrize("domain", ["daily", "shopping"])
def test_options_give_nothing_away(domain: str) -> None:
    """Four standard errors: one rule in 30,000 is further off by chance."""
    guesses = audit(questions(domain, 6000))
    assert len(guesses) == len(RULES) * (len(KINDS) - len(ABSTAINING))
    for guess in guesses:
        spread = sqrt(guess.chance * (1 - guess.chance) / guess.n)
        assert guess.leak < 4 * spread, guess


def test_the_audit_finds_what_leaks() -> None:
    """Options of which the right one is like the others, as the published ones were."""
    asked = [
        Question(f"q{n}", "simple", "Which?", 0, "128", options=("128", "129", "118", "955"))
        for n in range(50)
    ]
    found = {guess.rule: guess for guess in audit(asked)}
    assert found["medoid"].found == 1
    assert found["medoid"].chance == 0.25
    assert found["numeric median"].found == 0.5  # 128 and 129 are as near to 128.5
    assert found["longest"].found == 0.25


def test_the_same_seed_is_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib, sys\n"
        "from etalage.memory.simulate import SimulatorConfig, simulate\n"
        "from etalage.memory.trajectory import to_line\n"
        "made = simulate(SimulatorConfig(noise=2), n_users=10, seed=5)\n"
        "print(hashlib.sha256(b''.join(map(to_line, made))).hexdigest())\n"
    )
    here = hashlib.sha256(
        b"".join(map(to_line, simulate(SimulatorConfig(noise=2), n_users=10, seed=5)))
    )
    for order in ("1", "2"):
        given = os.environ | {"PYTHONHASHSEED": order}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=given
        )
        assert done.stdout.strip() == here.hexdigest(), done.stderr


def test_a_user_is_the_same_alone_and_among_others() -> None:
    config = SimulatorConfig(noise=1)
    whole = list(simulate(config, n_users=20, seed=5))
    assert [made.user for made in whole] == [f"u{n:07d}" for n in range(20)]
    some = [19, 3, 8, 3]
    assert list(simulate(config, users=some, seed=5)) == [whole[user] for user in some]
    assert to_line(whole[0]) != to_line(next(simulate(config, n_users=1, seed=6)))


def test_noise_leaves_what_matters_as_it_was() -> None:
    clean = list(simulate(n_users=4, seed=2))
    for ratio in (1, 9):
        loud = list(simulate(SimulatorConfig(noise=ratio), n_users=4, seed=2))
        for quiet, made in zip(clean, loud, strict=True):
            ids = {message.id for message in quiet.messages}
            assert tuple(m for m in made.messages if m.id in ids) == quiet.messages
            assert len(made.messages) == (1 + ratio) * len(quiet.messages)
            pools = Counter(m.id[9] for m in made.messages if m.id not in ids)
            assert pools.keys() == {"o", "b", "c"}
            assert max(pools.values()) - min(pools.values()) <= 1
            assert made.questions == quiet.questions


def test_what_others_said_is_there_to_be_mistaken() -> None:
    """Of what a user never told and another did, noise has the other's words, word for word."""
    passed = 0
    for made in simulate(SimulatorConfig(noise=49, languages=("en",)), n_users=8, seed=2):
        inner = {m.text.partition("“")[2].rstrip("”") for m in made.messages if "“" in m.text}
        facts = read(
            [m for other in simulate(SimulatorConfig(languages=("en",)), n_users=8, seed=2)
             for m in other.messages if m.text in inner]
        )  # fmt: skip
        for question in made.questions:
            if question.kind == "cross_user":
                ask = question.program["ask"]
                passed += (ask["of"], ask["attribute"]) in facts.said
                assert question.meta["owner"] != made.user
    assert passed >= 7


def test_every_kind_asks_what_it_is_named_for() -> None:
    for question in questions("daily", 600):
        assert (question.answer is None) == (question.kind in ABSTAINING)
        assert bool(question.options) == (question.answer is not None)
        assert bool(question.evidence) == (question.kind not in ("abstain", "cross_user"))
        if question.kind in ("conditional", "noisy"):
            assert question.program["ask"]["of"]["op"] == "only"
        if question.kind in ("update", "as_of"):
            assert question.meta["stale"] in question.options
            assert question.meta["stale"] != question.answer


def test_questions_end_with_the_user_that_has_enough() -> None:
    made = list(simulate(n_questions=25, seed=1))
    n = [len(trajectory.questions) for trajectory in made]
    assert sum(n) >= 25 > sum(n[:-1])
    assert list(simulate(n_users=0)) == []


def test_only_what_is_asked_for_is_made() -> None:
    config = SimulatorConfig(questions={"update": 2, "simple": 0})
    for made in simulate(config, n_users=5):
        assert [question.kind for question in made.questions] == ["update"] * 2
    endless = simulate(config, users=iter(range(10**6)))
    assert len(list(islice(endless, 2))) == 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "exactly one"),
        ({"n_users": 1, "n_questions": 1}, "exactly one"),
        ({"n_users": -1}, "0 or more; got n_users -1"),
        ({"users": [-1]}, "from 0 to 999,999; got -1"),
        ({"users": [10**6]}, "got 1000000"),
    ],
)
def test_what_cannot_be_made_is_refused(given: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        list(simulate(**given))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"questions": {"simpel": 1}}, "no kind 'simpel'; did you mean 'simple'"),
        ({"questions": {"simple": -1}}, "0 or more questions; got -1"),
        ({"languages": ("fr",)}, "expected some of"),
        ({"languages": ()}, "expected some of"),
        ({"domain": "war"}, "daily"),
        ({"noise": -1}, "greater than or equal to 0"),
    ],
)
def test_a_config_that_means_nothing_is_refused(given: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SimulatorConfig(**given)
