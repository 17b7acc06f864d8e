"""Which wrong answers stand beside the right one? Such as could as well have been right.

Wrong answers are drawn from the same distribution as the right one: the attribute's own, in other
worlds. A question is asked only if all of its options differ, and is never mended by drawing again
for the same answer; so the options are exchangeable, and no rule that reads them alone beats
chance.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from random import Random

from etalage.memory.simulate.programs import Program, Typed, applied
from etalage.memory.simulate.schema import COUNT, ENTITY, SELF, Attribute, network, words_of
from etalage.memory.simulate.surface import surface
from etalage.memory.simulate.world import World, sample
from etalage.memory.trajectory import Value

N_OPTIONS = 4
N_WORLDS = 400
FIRST_USER = 9_000_000
"""Other worlds belong to nobody: users of a seed that is none, with numbers nobody has."""
CLOSED = ("season",)
"""Functions with no more values than options."""


@cache
def worlds(domain: str) -> list[World]:
    """Returns the other worlds of a domain."""
    return [sample(2**31, FIRST_USER + n, domain) for n in range(N_WORLDS)]


@cache
def pool(domain: str, entity: str, attribute: str) -> list[tuple[Value, str]]:
    """Returns values of an attribute in other worlds, of one entity or of a whole group, each with
    the day that its world starts on."""
    net = network()
    found = []
    for world in worlds(domain):
        for whom in world.entities:
            value = world.values.get((whom, attribute))
            if value is not None and entity in (whom, net.group_of(whom)):
                found.append((value, str(world.values[SELF, "start"])))
    return found


@cache
def priced(domain: str, group: str, attribute: str, value: Value, target: str) -> list[int]:
    """Returns what a target is in other worlds, where an attribute of the entity is a value."""
    return [
        int(world.values[entity, target])
        for world in worlds(domain)
        for entity in world.entities
        if network().group_of(entity) == group and world.values[entity, attribute] == value
    ]


def moved(value: Value, attribute: Attribute, start: str, to: str) -> Value:
    """Returns a date of a world as it would be in a world that starts on another day.

    A moment stays on its weekday, so many weeks after the week of the start.
    """
    if attribute.type not in ("date", "moment"):
        return value
    first, day = date.fromisoformat(start), date.fromisoformat(str(value)[:10])
    other = date.fromisoformat(to)
    if attribute.type == "moment":
        first, other = (day - timedelta(day.weekday()) for day in (first, other))
    return (other + (day - first)).isoformat() + str(value)[10:]


def options_for(
    program: Program,
    typed: Typed,
    world: World,
    random: Random,
    stale: tuple[Value, ...] = (),
    n_summed: int = 0,
) -> tuple[str, ...] | None:
    """Returns the options in mixed order; None where they do not all differ.

    `stale` values were right at another time, and are offered first; `n_summed` is how many values
    a sum adds up.
    """
    words, ask = surface(program["language"]), program["ask"]
    value, attribute = typed
    said = words.said(attribute, value)
    op = ask["op"]
    if "among" in ask and op != "count":
        found = [words.said(ENTITY, entity) for entity in ask["among"]]
        found += [words.said(words_of("tie"), "the same")] if ask.get("tie") else []
    elif op == "count":
        found = [words.said(COUNT, n) for n in range(len(ask["among"]) + 1)]
    elif op == "holds":
        found = [words.said(attribute, truth) for truth in ("yes", "no")]
    elif op == "apply" and ask["function"] in CLOSED:
        found = list(words.words[ask["function"]].values())
    else:
        others = [*stale[: N_OPTIONS - 1]]
        while len(others) < N_OPTIONS - 1:
            others.append(_other(ask, world, random, n_summed))
        found = [said, *(words.said(attribute, other) for other in others)]
    if len(set(found)) < len(found):
        return None
    random.shuffle(found)
    return tuple(found)


def _other(ask: Program, world: World, random: Random, n_summed: int) -> Value:
    """What the answer is in another world."""
    match ask["op"]:
        case "as_of":
            return _other(ask["of"], world, random, n_summed)
        case "apply":
            inner = str(_other(ask["of"], world, random, n_summed))
            return applied(ask["function"], inner, ask.get("n", 0))[0]
        case "sum":
            of = priced(world.domain, ask["group"], ask["attribute"], ask["value"], ask["target"])
            return sum(random.choice(of) for _ in range(n_summed))
    of = ask["of"] if isinstance(ask["of"], str) else ask["of"]["group"]
    value, start = random.choice(pool(world.domain, of, ask["attribute"]))
    group = network().group_of(of) if isinstance(ask["of"], str) else of
    attribute = network().attributes[group, ask["attribute"]]
    return moved(value, attribute, start, str(world.values[SELF, "start"]))
