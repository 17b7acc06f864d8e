"""Claims about the simulator of what users say and are asked: what it costs, that its checker finds
what is wrong, that it draws what its network says, and that users depend on nothing but the seed.
"""

from __future__ import annotations

import time
from collections import Counter
from random import Random

from claims import record
from etalage.memory.simulate import Checker, SimulatorConfig, simulate
from etalage.memory.trajectory import to_line
from memory_faults import FAULTS, planted
from memory_frequencies import frequencies, sampled

SEED = 1
ASKED = 3_500
SPOILT_USERS = 100
WORLDS = 10_000
DOMAINS = ("daily", "shopping")


def cost() -> None:
    """What 3,500 questions of all kinds cost, half of them of each domain."""
    list(simulate(n_users=1, seed=SEED))  # words and templates are read once
    started, n = time.process_time(), 0
    for domain in DOMAINS:
        for made in simulate(SimulatorConfig(domain=domain), n_questions=ASKED // 2, seed=SEED):
            n += len(made.questions)
    spent = time.process_time() - started
    record("memory", "3,500 questions of twelve kinds, with what was said", spent * ASKED / n,
           "CPU-s", "<=3", seeds=[SEED], seconds=spent)  # fmt: skip


def faults() -> None:
    """How many planted faults the checker finds."""
    started = time.process_time()
    found: Counter[str] = Counter()
    n: Counter[str] = Counter()
    for domain in DOMAINS:
        right = simulate(SimulatorConfig(domain=domain), n_users=SPOILT_USERS // 2 * 2, seed=SEED)
        for name, spoilt in planted(right, Random(SEED)):
            n[name] += 1
            found[name] += bool(Checker().check(spoilt))
    spent = time.process_time() - started
    common = {"seeds": [SEED], "seconds": spent}
    record("memory", "faults planted in trajectories", n.total(), "faults", ">=2000", **common)
    record("memory", "kinds of them", sum(n[name] > 0 for name in FAULTS), "kinds", ">=8", **common)
    record("memory", "planted faults that the checker finds", 100 * found.total() / n.total(), "%",
           ">=100", **common)  # fmt: skip


def draws() -> None:
    """Whether the network is drawn as it is written."""
    started = time.process_time()
    tested = frequencies(sampled(WORLDS, SEED))
    common = {"seeds": [SEED], "seconds": time.process_time() - started}
    record("memory", "conditional probabilities tested on 20,000 worlds", tested.n_cells, "cells",
           ">=2000", **common)  # fmt: skip
    record("memory", "of them outside of their interval, at 1 % over all", len(tested.wrong),
           "cells", "<=0", **common)  # fmt: skip


def sameness() -> None:
    """Whether a user is the same bytes again, alone and among others."""
    config = SimulatorConfig(noise=3)
    whole = [to_line(made) for made in simulate(config, n_users=120, seed=SEED)]
    again = [to_line(made) for made in simulate(config, n_users=120, seed=SEED)]
    some = list(range(119, -1, -7))
    alone = [to_line(made) for made in simulate(config, users=some, seed=SEED)]
    differ = sum(a != b for a, b in zip(whole, again, strict=True))
    differ += sum(line != whole[user] for user, line in zip(some, alone, strict=True))
    record("memory", "users whose bytes differ in a second run, or made alone", differ, "users",
           "<=0", seeds=[SEED])  # fmt: skip


def main() -> None:
    for measure in (cost, faults, draws, sameness):
        measure()


if __name__ == "__main__":
    main()
