"""What does a user say, in which order, and when? Facts of a world become messages.

Most facts are said once, in mixed order, one to three a message. Some are said again, some change,
some are taken back, and some are never said. Times rise strictly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.programs import Knowledge
from etalage.memory.simulate.schema import SELF, network
from etalage.memory.simulate.statements import statements
from etalage.memory.simulate.surface import time_of
from etalage.memory.simulate.world import Cell, World, draws, redrawn, sample
from etalage.memory.statement import DAY_MS
from etalage.memory.trajectory import Fact, Message, Value

MINUTE = 60_000
WITHHELD = 0.1
"""Share of what could be told that is not."""
CHANGED, RETRACTED, REPEATED = 3, 2, 3
"""How many facts of a user change, are taken back, or are said again."""
IN_ONE = (1, 1, 1, 1, 1, 2, 2, 3)
"""Facts a message, each as likely."""
SMALL_TALK, REPLY = 0.2, 0.15


@dataclass(frozen=True)
class Told:
    """What one user said of their world."""

    user: str
    world: World
    language: str
    messages: tuple[Message, ...]
    knowledge: Knowledge
    withheld: tuple[Cell, ...]
    changed: dict[Cell, Value] = field(default_factory=dict)
    """Cells that changed, and what they were before."""
    retracted: tuple[Cell, ...] = ()


def user_id(number: int) -> str:
    """Returns the id of a user.

    >>> user_id(12)
    'u0000012'
    """
    return f"u{number:07d}"


@lru_cache(maxsize=64)
def told(seed: int, number: int, domain: str, languages: tuple[str, ...]) -> Told:
    """Returns what a user says: kept for a while, since others' noise and questions need it."""
    world, random = sample(seed, number, domain), draws(seed, "telling", domain, number)
    language, user = random.choice(languages), user_id(number)
    cells, withheld = _chosen(world, random)
    facts = {cell: Fact(*cell, world.values[cell]) for cell in cells}
    keyed = [(random.random(), fact) for fact in facts.values()]
    position = {(fact.entity, fact.attribute): at for at, fact in keyed}
    net = network()
    mutable = [cell for cell in cells if net.attribute(*cell).mutable]
    changed: dict[Cell, Value] = {}
    for cell in random.sample(mutable, len(mutable)):
        value = redrawn(world, cell, random)
        if value != world.values[cell] and len(changed) < CHANGED:
            changed[cell] = world.values[cell]
            keyed.append((random.uniform(position[cell], 1), Fact(*cell, value, "correct")))
    others = [cell for cell in cells if cell not in changed and net.attribute(*cell).asked]
    random.shuffle(others)
    retracted, repeated = others[:RETRACTED], others[RETRACTED : RETRACTED + REPEATED]
    for cell in retracted:
        keyed.append((random.uniform(position[cell], 1), Fact(*cell, None, "retract")))
    for cell in repeated:
        keyed.append((random.uniform(position[cell], 1), facts[cell]))
    keyed.sort(key=lambda row: row[0])
    start = time_of(f"{world.values[SELF, 'start']}T08:00")
    messages = _messages([fact for _, fact in keyed], user, language, start, random)
    knowledge = Knowledge()
    for message in messages:
        knowledge.add(message.facts, message.time, message.id)
    return Told(
        user,
        world,
        language,
        tuple(messages),
        knowledge,
        tuple(withheld),
        changed,
        tuple(retracted),
    )


def _chosen(world: World, random: Random) -> tuple[list[Cell], list[Cell]]:
    """The cells that are told, and those that could have been."""
    net = network()
    domain = net.domains[world.domain]
    attributes = {
        group: random.sample(domain.attributes[group], n) for group, n in domain.told.items()
    }
    cells: list[Cell] = []
    withheld: list[Cell] = []
    for entity in world.entities:
        for name in attributes[net.group_of(entity)]:
            (withheld if random.random() < WITHHELD else cells).append((entity, name))
    return cells, withheld


def _messages(
    facts: list[Fact], user: str, language: str, time: int, random: Random
) -> list[Message]:
    words, talk = statements(language), asking(language)
    space = "" if language == "zh" else " "
    messages: list[Message] = []
    at = 0
    while at < len(facts):
        taken = facts[at : at + random.choice(IN_ONE)]
        # one message never says a cell twice: which holds would be no matter of time
        seen: set[Cell] = set()
        for n, fact in enumerate(taken):
            if (fact.entity, fact.attribute) in seen:
                taken = taken[:n]
                break
            seen.add((fact.entity, fact.attribute))
        at += len(taken)
        time += random.randrange(10 * MINUTE, DAY_MS // 2, 1000)
        said = [words.say(fact, time, random) for fact in taken]
        if random.random() < SMALL_TALK:
            said.insert(random.randrange(len(said) + 1), talk.chatter(random))
        name = f"{user}-{len(messages):04d}"
        messages.append(Message(name, time, "user", space.join(said), tuple(taken)))
        if random.random() < REPLY:
            reply, later = (
                random.choice(words.words.given["replies"]),
                random.randrange(1000, 9 * MINUTE),
            )
            messages.append(
                Message(f"{user}-{len(messages):04d}", time + later, "assistant", reply)
            )
    return messages
