"""Claims about the simulator that take minutes: 100,000 questions worked out again from the text,
rules that read the options alone, and a million messages in bounded memory.
"""

from __future__ import annotations

import resource
import time

from claims import record
from etalage.memory.simulate import Checker, SimulatorConfig, simulate
from etalage.memory.simulate.audit import audit
from etalage.memory.trajectory import Question, to_line

SEED = 2
ASKED, MESSAGES = 100_000, 1_000_000
DOMAINS = ("daily", "shopping")


def answers() -> None:
    """Checks questions of both domains, and asks what options alone give away."""
    wrong, spent, leaks = 0, 0.0, []
    for domain in DOMAINS:
        checker, asked = Checker(), list[Question]()
        made = simulate(SimulatorConfig(domain=domain), n_questions=ASKED // 2, seed=SEED)
        for trajectory in made:
            started = time.process_time()
            wrong += len(checker.check(trajectory))
            spent += time.process_time() - started
            asked += trajectory.questions
        leaks += audit(asked)
    common = {"seeds": [SEED], "seconds": spent}
    record("memory", "faults in 100,000 questions and what was said", wrong, "faults", "<=0",
           **common)  # fmt: skip
    record("memory", "to check 100,000 questions", spent, "CPU-s", "<=300", **common)
    worst = max(leaks, key=lambda guess: guess.leak)
    record("memory", f"best rule on options alone, over chance: {len(leaks)} rules and kinds",
           100 * worst.leak, "points", "<=3", **common)  # fmt: skip


def memory() -> None:
    """Makes a million messages, and lets each go."""
    n, early, started = 0, 0.0, time.process_time()
    for made in simulate(SimulatorConfig(noise=9), n_users=10**5, seed=SEED):
        to_line(made)
        n += len(made.messages)
        if not early and n >= MESSAGES // 10:
            early = peak_mb()
        if n >= MESSAGES:
            break
    common = {"seeds": [SEED], "seconds": time.process_time() - started}
    record("memory", "peak memory while a million messages are made", peak_mb(), "MB", "<=300",
           **common)  # fmt: skip
    record("memory", "growth of it from the first tenth to the whole", peak_mb() - early, "MB",
           "<=10", **common)  # fmt: skip


def peak_mb() -> float:
    """Most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    memory()
    answers()


if __name__ == "__main__":
    main()
