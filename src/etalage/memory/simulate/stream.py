"""How are many users made? One after the other, each from the seed and a number alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field, field_validator

from etalage.errors import DataError, did_you_mean
from etalage.memory.simulate.kinds import KINDS
from etalage.memory.simulate.noise import among_noise
from etalage.memory.simulate.questions import Asker
from etalage.memory.simulate.surface import LANGUAGES
from etalage.memory.simulate.telling import told
from etalage.memory.simulate.world import USERS, draws
from etalage.memory.trajectory import Question, Trajectory
from etalage.recipe.config import Config

BLOCK = 8
"""Users that are others to one another: whose facts noise passes on, and questions mix up."""


class SimulatorConfig(Config):
    """What is made for each user."""

    domain: Literal["daily", "shopping"] = "daily"
    """Daily life (MemSim's eleven entities, and tastes), or shopping."""
    languages: tuple[str, ...] = LANGUAGES
    """Each user speaks one of these."""
    questions: dict[str, int] = Field(default_factory=lambda: dict.fromkeys(KINDS, 1))
    """Questions a user of each kind. A user whose facts allow none of a kind has none of it."""
    noise: int = Field(0, ge=0, le=1000)
    """Messages that matter to no question, for each that may; MemSim has 0, 9, 49, 99 and 199."""

    @field_validator("questions")
    @classmethod
    def _kinds(cls, given: dict[str, int]) -> dict[str, int]:
        for kind, n in given.items():
            if kind not in KINDS:
                close = did_you_mean(kind, KINDS)
                raise ValueError(f"no kind {kind!r}{close}; kinds are {', '.join(KINDS)}")
            if n < 0:
                raise ValueError(f"{kind}: expected 0 or more questions; got {n}")
        return given

    @field_validator("languages")
    @classmethod
    def _spoken(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not given or set(given) - set(LANGUAGES):
            raise ValueError(f"expected some of {LANGUAGES}; got {given}")
        return given


def simulate(
    config: SimulatorConfig | None = None,
    n_users: int | None = None,
    n_questions: int | None = None,
    seed: int = 0,
    users: Iterable[int] | None = None,
) -> Iterator[Trajectory]:
    """Yields one trajectory a user; each is a function of the config, the seed and its number.

    Give one of `n_users`, `n_questions` (it ends with the user that reaches it) and `users`, the
    numbers of some. Users come in blocks of eight: what noise passes on, and what a question
    mistakes for the user's own, was said by the others of the block.

    Raises:
        DataError: unless exactly one is given, or for a number below 0.
    """
    config = config or SimulatorConfig()
    if sum(given is not None for given in (n_users, n_questions, users)) != 1:
        raise DataError("give exactly one of n_users, n_questions and users")
    if (n_users or 0) < 0 or (n_questions or 0) < 0:
        raise DataError(f"expected 0 or more; got n_users {n_users}, n_questions {n_questions}")
    return _stream(config, n_users, n_questions, seed, users)


def _stream(
    config: SimulatorConfig,
    n_users: int | None,
    n_questions: int | None,
    seed: int,
    users: Iterable[int] | None,
) -> Iterator[Trajectory]:
    number, n_asked = 0, 0
    given = None if users is None else iter(users)
    while True:
        if given is not None:
            chosen = next(given, None)
            if chosen is None:
                return
            number = chosen
        if number == n_users or (n_questions is not None and n_asked >= n_questions):
            return
        made = one(config, seed, number)
        n_asked += len(made.questions)
        yield made
        number += 1


def one(config: SimulatorConfig, seed: int, number: int) -> Trajectory:
    """Returns the trajectory of one user.

    Raises:
        DataError: for a number below 0 or above the last that has a serial number of its own.
    """
    if not 0 <= number < USERS:
        raise DataError(f"users have numbers from 0 to {USERS - 1:,}; got {number}")
    first = number // BLOCK * BLOCK
    block = [told(seed, n, config.domain, config.languages) for n in range(first, first + BLOCK)]
    mine, others = block[number - first], [row for row in block if row.world.user != number]
    asker = Asker(mine, others, draws(seed, "questions", config.domain, number))
    questions: list[Question] = []
    for kind, n in config.questions.items():
        for _ in range(n):
            question = asker.question(kind, len(questions))
            if question is not None:
                questions.append(question)
    messages = among_noise(mine, others, config.noise, draws(seed, "noise", config.domain, number))
    source = f"simulated {config.domain}, seed {seed}, noise {config.noise}"
    return Trajectory(mine.user, messages, tuple(questions), source)
