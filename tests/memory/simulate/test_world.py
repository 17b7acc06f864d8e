"""Worlds: drawn as the network says, one user at a time."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.benchmarks.scripts import module

from etalage.memory.simulate.samplers import built, normal
from etalage.memory.simulate.schema import SELF, network
from etalage.memory.simulate.world import USERS, fresh, redrawn, sample


def test_every_probability_is_drawn_as_it_is_written() -> None:
    tested = module("memory_frequencies").frequencies(module("memory_frequencies").sampled(1500, 4))
    assert tested.wrong == []
    assert tested.n_cells > 1500


def test_the_test_of_probabilities_finds_a_wrong_one() -> None:
    script = module("memory_frequencies")
    worlds = list(script.sampled(400, 4))
    for world in worlds[::4]:
        world.values[SELF, "height"] = 150
    assert {row[:2] for row, *_ in script.frequencies(worlds).wrong} == {
        (SELF, "height"),
        (SELF, "shirt_size"),  # which follows from it, and was not changed
    }


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6 - 1), st.integers(0, 2**31), st.sampled_from(["daily", "shopping"]))
def test_a_world_follows_from_seed_and_user(user: int, seed: int, domain: str) -> None:
    world = sample(seed, user, domain)
    assert world == sample(seed, user, domain)
    assert world.values != sample(seed + 1, user, domain).values
    assert len(set(world.entities + world.bystanders)) == len(world.entities + world.bystanders)


def test_kin_share_what_kin_share() -> None:
    for user in range(200):
        values = sample(1, user, "daily").values
        if ("relative:father", "name") in values:
            father, own = values["relative:father", "name"], values[SELF, "name"]
            assert str(father).split()[1] == str(own).split()[1]
            assert values["relative:father", "gender"] == "male"
            assert 20 <= int(values["relative:father", "age"]) - int(values[SELF, "age"]) <= 34


def test_no_two_users_share_a_number() -> None:
    for name in ("phone", "member_number"):
        sampler = network().attributes[SELF, name].sampler
        assert sampler is not None
        users = [*range(20_000), *range(USERS, 9 * USERS, 997)]
        assert len({sampler.draw(Random(0), (user,)) for user in users}) == len(users)


def test_what_is_settled_stays_in_a_world_made_up_for_options() -> None:
    settled = {(SELF, "start"): "2026-03-02"}
    moment = fresh(("work_event:fire drill", "moment"), Random(3), settled)
    assert "2026-03-16" <= str(moment) < "2026-03-30"
    week = settled["work_event:fire drill", "week"]
    assert week in (2, 3)


def test_a_job_changes_within_what_was_learnt() -> None:
    jobs = network().attributes[SELF, "job"].sampler
    assert jobs is not None
    for user in range(50):
        world = sample(2, user, "daily")
        job = redrawn(world, (SELF, "job"), Random(user))
        assert job in jobs.pmf((world.values[SELF, "education"],))


def test_a_clipped_normal_adds_up() -> None:
    pmf = normal(170, 8, 150, 190)
    assert sum(pmf.values()) == pytest.approx(1)
    assert pmf[170] == pytest.approx(0.04983, abs=1e-4)  # Φ(0.0625) - Φ(-0.0625)
    assert pmf[150] == pytest.approx(0.00739, abs=1e-4)  # Φ(-19.5 / 8)


def test_a_mixture_has_its_shares() -> None:
    words = {"city": {"a": "", "b": "", "c": "", "d": ""}}
    pmf = built("mixture", {"parents": [0.1, 0.8], "else": "city"}, words).pmf(("a", "b"))
    assert pmf == pytest.approx({"a": 0.125, "b": 0.825, "c": 0.025, "d": 0.025})
