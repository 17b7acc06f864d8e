"""What else is said? Messages that matter to no question, from three pools in turn.

others: what other users said, passed on: the same words, and none of it is the user's own.
bystanders: what the user says of people and things that no question is about.
chatter: nothing of anybody.

Messages that matter keep their ids, times and order at every ratio; the rest lies between them. The
letter in the id of the rest is that of its pool: u0000012-o000003 was said by others.
"""

from __future__ import annotations

from random import Random

from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.schema import network
from etalage.memory.simulate.statements import statements
from etalage.memory.simulate.surface import surface
from etalage.memory.simulate.telling import Told
from etalage.memory.trajectory import Fact, Message

POOLS = ("others", "bystanders", "chatter")


def among_noise(told: Told, others: list[Told], ratio: int, random: Random) -> tuple[Message, ...]:
    """Returns the messages of a user among so many times as many that matter to no question."""
    kept = list(told.messages)
    n = ratio * len(kept)
    if not n:
        return told.messages
    times = _times(kept, n, random)
    facts = _bystander_facts(told)
    made = []
    for at, time in enumerate(times):
        pool = POOLS[at % len(POOLS)]
        name = f"{told.user}-{pool[0]}{at:06d}"
        made.append(_one(told, others, facts, pool, name, time, random))
    return tuple(sorted([*kept, *made], key=lambda message: message.time))


def _times(kept: list[Message], n: int, random: Random) -> list[int]:
    """Times between those of the messages that matter, each another, rising."""
    first, last = kept[0].time, kept[-1].time
    taken = {message.time for message in kept}
    found: set[int] = set()
    while len(found) < n:
        time = random.randrange(first + 1, last)
        if time not in taken:
            found.add(time)
    return sorted(found)


def _bystander_facts(told: Told) -> list[Fact]:
    net, world = network(), told.world
    attributes = net.domains[world.domain].attributes
    return [
        Fact(entity, name, world.values[entity, name])
        for entity in world.bystanders
        for name in attributes[net.group_of(entity)]
    ]


def _one(
    told: Told,
    others: list[Told],
    facts: list[Fact],
    pool: str,
    name: str,
    time: int,
    random: Random,
) -> Message:
    said = statements(told.language)
    if pool == "bystanders":
        fact = random.choice(facts)
        return Message(name, time, "user", said.say(fact, time, random), (fact,))
    if pool == "chatter":
        return Message(name, time, "user", asking(told.language).chatter(random))
    other = random.choice(others)
    words = surface(told.language).words
    first = random.choice(list(words[random.choice(("woman", "man"))].values()))
    text = random.choice([message for message in other.messages if message.facts]).text
    return Message(name, time, "user", said.forwarded(first, text, random))
