"""Who is this user? One draw from the relation network: parents first, then what they settle.

Every user has generators of their own, by seed and number, so that nobody's world depends on how
many others are made, or in which order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from etalage.memory.simulate.schema import GIVEN, SELF, Attribute, Network, network
from etalage.memory.trajectory import Value
from etalage.seeds import generator

Cell = tuple[str, str]
"""An entity, and the name of one of its attributes."""


@dataclass(frozen=True)
class World:
    """What is true of one user, said or not."""

    user: int
    domain: str
    entities: tuple[str, ...]
    """The user, and who and what belongs to them."""
    bystanders: tuple[str, ...]
    """Who and what only noise is about."""
    values: dict[Cell, Value]


def draws(seed: int, *names: str | int) -> Random:
    """Returns the generator of one use of a seed; scalars come ten times as fast as from numpy."""
    return Random(int(generator(seed, *names).integers(2**63)))


def sample(seed: int, user: int, domain: str) -> World:
    """Returns the world of one user."""
    random, net = draws(seed, "world", domain, user), network()
    chosen = net.domains[domain]
    values: dict[Cell, Value] = {}

    def names(kinds: dict[str, int]) -> list[str]:
        return [
            f"{kind}:{name}"
            for kind, n in kinds.items()
            for name in random.sample(_names(net, kind), n)
        ]

    entities = names(chosen.entities)
    bystanders = names(chosen.bystanders)
    for entity in (SELF, *entities, *bystanders):
        itself = entity.partition(":")[2]
        for attribute, refs in _plan(domain, net.group_of(entity)):
            parents = tuple(
                values[SELF, name] if of == SELF
                else values[entity, name] if of is None
                else itself if name == "itself"
                else user
                for of, name in refs
            )  # fmt: skip
            assert attribute.sampler is not None
            values[entity, attribute.name] = attribute.sampler.draw(random, parents)
    return World(user, domain, (SELF, *entities), tuple(bystanders), values)


def redrawn(world: World, cell: Cell, random: Random) -> Value | None:
    """Returns another value for a cell, from the same distribution; None if none came."""
    attribute = network().attribute(*cell)
    assert attribute.sampler is not None
    parents = parents_of(world, cell)
    for _ in range(10):
        value = attribute.sampler.draw(random, parents)
        if value != world.values[cell]:
            return value
    return None


def parents_of(world: World, cell: Cell) -> tuple[Value, ...]:
    """Returns the values of the parents of a cell."""
    entity, name = cell
    found: list[Value] = []
    for of, parent in _refs(network().attribute(entity, name)):
        if of == "":
            found.append(entity.partition(":")[2] if parent == "itself" else world.user)
        else:
            found.append(world.values[of or entity, parent])
    return tuple(found)


def _refs(attribute: Attribute) -> tuple[tuple[str | None, str], ...]:
    """Where each parent stands: at "self", at the entity itself (None), or given ("")."""
    found: list[tuple[str | None, str]] = []
    for parent in attribute.parents:
        of, _, name = parent.rpartition(".")
        found.append((SELF if of else "" if parent in GIVEN else None, name))
    return tuple(found)


@cache
def _names(net: Network, kind: str) -> list[str]:
    return list(net.words[str(net.kinds[kind].names)])


@cache
def _plan(domain: str, group: str) -> list[tuple[Attribute, tuple[tuple[str | None, str], ...]]]:
    """What is drawn for an entity of a group, in order."""
    net = network()
    told = net.domains[domain].attributes
    wanted = list(told.get(group, []))
    if group == SELF:
        parents = [p for of, names in told.items() for n in net.ancestors(of, names)
                   for p in net.attributes[of, n].parents]  # fmt: skip
        wanted += [p.partition(".")[2] for p in parents if p.startswith("self.")] + ["start"]
    drawn = [net.attributes[group, name] for name in net.ancestors(group, wanted)]
    return [(attribute, _refs(attribute)) for attribute in drawn]
