"""What do we believe of somebody? Facts as they were said, and which of them hold at a time.

Nothing that was said is ever changed. What holds is worked out when it is asked for: of facts about
one thing the newest decides, so an update, a change of taste and a question about last spring
are the same few lines, and what is forgotten leaves no trace in the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from etalage.errors import DataError

Origin = Literal["given", "grammar", "model"]


def is_unicode(text: object) -> bool:
    """Whether it is a text, with no halves of characters: those cannot be written down."""
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


LONGEST_NAME = 500
"""Characters of a user's name."""


def check_name(name: object) -> None:
    """Raises DataError for what cannot name a user."""
    # two names with different halves of characters would be hashed as one
    if not is_unicode(name) or not 1 <= len(str(name)) <= LONGEST_NAME or not str(name).strip():
        raise DataError(
            f"a user is named by a text of 1 to {LONGEST_NAME} characters; got {name!a:.80}"
        )


@dataclass(frozen=True, slots=True)
class Fact:
    """Subject, predicate and object, with when it is true.

    Raises:
        DataError: for a part that is empty, or a number outside its range.
    """

    predicate: str
    object: str
    subject: str = "user"
    polarity: int = 1
    """1 where it is so, -1 where it is not, or no longer: "I have stopped liking jazz"."""
    strength: float = 1.0
    """How sure it is, in (0, 1]; facts that say the same make each other surer."""
    is_single: bool = False
    """Whether a new object takes the place of the old one, as that of a home does."""
    valid_from: int | None = None
    """Milliseconds UTC from which on it is true in the world; None: when it was said."""
    valid_to: int | None = None
    """Until when; None: until something else is said."""
    span: tuple[int, int] = (0, 0)
    """First and one past the last character of the text that say it."""
    origin: Origin = "given"
    """Who found it in the text."""
    memory: int = 0
    """Number of the memory that says it; set by the store."""

    def __post_init__(self) -> None:
        for name in ("subject", "predicate", "object"):
            value = getattr(self, name)
            if not is_unicode(value) or not value.strip():
                raise DataError(f"the {name} of a fact must be a text with a word; got {value!a}")
        for name in ("valid_from", "valid_to"):
            time = getattr(self, name)
            if time is not None and not (type(time) is int and abs(time) < 2**53):
                raise DataError(f"{name} of a fact must be milliseconds UTC; got {time!r}")
        if self.polarity not in (-1, 1) or not 0 < self.strength <= 1:
            raise DataError(
                "expected a polarity of 1 or -1 and a strength in (0, 1]; got polarity "
                f"{self.polarity} and strength {self.strength}"
            )

    @property
    def key(self) -> str:
        """The object as it is compared: "Jazz " and "jazz" are one."""
        return " ".join(self.object.casefold().split())


@dataclass(frozen=True, slots=True)
class Belief:
    """What holds, with the memories that say so."""

    subject: str
    predicate: str
    object: str
    polarity: int
    strength: float
    since: int
    """Milliseconds UTC from which on it is believed without a break."""
    memories: tuple[int, ...]
    """Numbers of the memories that say so, oldest first."""


def beliefs(facts: Iterable[Fact], at: int) -> list[Belief]:
    """Returns what holds at a time (ms UTC), by subject, predicate and object.

    >>> home = [Fact("lives_in", "Lyon", is_single=True, valid_from=1, memory=1),
    ...         Fact("lives_in", "Nice", is_single=True, valid_from=5, memory=2)]
    >>> [belief.object for belief in beliefs(home, at=9)], beliefs(home, at=3)[0].object
    (['Nice'], 'Lyon')
    """
    held: dict[tuple[str, str], dict[str, list[Fact]]] = {}
    for fact in sorted(facts, key=lambda fact: (fact.valid_from or 0, fact.memory)):
        if (fact.valid_from or 0) > at or (fact.valid_to is not None and fact.valid_to <= at):
            continue
        known = held.setdefault((fact.subject, fact.predicate), {})
        same = known.get(fact.key, [])
        if same and same[0].polarity != fact.polarity:
            same = []
        if fact.is_single and fact.polarity > 0:
            known.clear()
        known[fact.key] = [*same, fact]
    return [_believed(said) for slot in sorted(held) for said in held[slot].values()]


def _believed(said: list[Fact]) -> Belief:
    doubt = 1.0
    for fact in said:
        doubt *= 1 - fact.strength
    last = said[-1]
    return Belief(
        subject=last.subject,
        predicate=last.predicate,
        object=last.object,
        polarity=last.polarity,
        strength=1 - doubt,
        since=said[0].valid_from or 0,
        memories=tuple(dict.fromkeys(fact.memory for fact in said)),
    )


def outdated(facts: Iterable[Fact], at: int) -> set[int]:
    """Returns the memories that said something, none of which holds any more at a time (ms UTC).

    What is not true yet outdates nothing, and is not outdated itself.
    """
    said = [fact for fact in facts if (fact.valid_from or 0) <= at]
    held = {memory for belief in beliefs(said, at) for memory in belief.memories}
    ahead = {fact.memory for fact in facts if (fact.valid_from or 0) > at}
    return {fact.memory for fact in said} - held - ahead
