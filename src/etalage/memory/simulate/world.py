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

USERS = 1_000_000
"""Users have numbers below; from here on, they are nobody's, and of worlds made up for options."""
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


def redrawn(world: World, cell: Cell, random: Random) -> Value:
    """Returns what a cell may change to: drawn anew, with what else settles it in its own entity.

    It can be what it was. To draw again then would make usual values rarer after a change than
    before it, and so give them away.
    """
    entity, name = cell
    own = [parent for of, parent in _refs(network().attribute(entity, name)) if of is None]
    settled = {(entity, parent): world.values[entity, parent] for parent in own}
    return fresh(cell, random, settled)


def parents_of(world: World, cell: Cell) -> tuple[Value, ...]:
    """Returns the values of the parents of a cell."""
    entity, name = cell
    return tuple(
        _given(entity, parent, world.user) if of == "" else world.values[of or entity, parent]
        for of, parent in _refs(network().attribute(entity, name))
    )


def fresh(cell: Cell, random: Random, values: dict[Cell, Value]) -> Value:
    """Returns what a cell is in another world, of which `values` are settled; it adds to them."""
    if cell in values:
        return values[cell]
    entity, name = cell
    attribute = network().attribute(entity, name)
    assert attribute.sampler is not None
    parents = tuple(
        _given(entity, parent, random.randrange(USERS, 10 * USERS))
        if of == ""
        else fresh((of or entity, parent), random, values)
        for of, parent in _refs(attribute)
    )
    value = values[cell] = attribute.sampler.draw(random, parents)
    return value


def _given(entity: str, parent: str, user: int) -> Value:
    """A parent that is no attribute."""
    return entity.partition(":")[2] if parent == "itself" else user


@cache
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
