"""Which kinds of questions are there? For each, a draw of a program that may be asked.

A draw may come to nothing (None), or to what has no single answer; the asker then draws again.
MemSim's six kinds come first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from random import Random
from typing import Any, TypeVar

from etalage.memory.simulate.programs import Program
from etalage.memory.simulate.schema import Attribute, network
from etalage.memory.simulate.surface import minute_of, time_of
from etalage.memory.simulate.telling import MINUTE, Told
from etalage.memory.simulate.world import Cell
from etalage.memory.trajectory import Value

T = TypeVar("T")
GROUPS = ("person", "event", "purchase")
"""Groups whose entities can be found by what is known of them."""
FUNCTIONS = {
    "birthday": ("season", "month"),
    "moment": ("weekday",),
    "delivery": ("weekday",),
    "phone": ("digits",),
    "email": ("suffix",),
}
"""What can be made of an attribute's value."""
TELLING = {("employer", "email"), ("name", "email")}
"""Pairs of which the first is a part of the second, so that a question would tell its answer."""
LISTED = 4
"""Entities that a question names at most."""


@dataclass(frozen=True)
class Facts:
    """What one user's questions can be about."""

    told: Told
    others: list[Told]
    random: Random
    time: int
    """When the first question is asked."""

    @cached_property
    def known(self) -> dict[Cell, Value]:
        """The latest value of each cell that has one."""
        knowledge = self.told.knowledge
        found = {cell: knowledge.value(cell, self.time) for cell in knowledge.said}
        return {cell: value for cell, value in found.items() if value is not None}

    @cached_property
    def asked(self) -> list[Cell]:
        """Cells whose value is worth a question."""
        return [cell for cell in self.known if network().attribute(*cell).asked]

    @cached_property
    def by_attribute(self) -> dict[tuple[str, str], list[str]]:
        """Entities of a group with a known attribute, which did not change.

        Where one of several changed, its old value often leads to the same answer, and then it is
        not clear that the change is needed.
        """
        found: dict[tuple[str, str], list[str]] = {}
        for entity, name in self.known:
            if (entity, name) in self.told.changed:
                continue
            found.setdefault((network().group_of(entity), name), []).append(entity)
        return found

    @cached_property
    def owners(self) -> dict[Cell, str]:
        """Cells of this user's entities that others told of theirs and this user never did."""
        told = self.told
        return {
            cell: other.user
            for other in self.others
            for cell in other.knowledge.said
            if cell not in told.knowledge.said
            and cell[0] in told.world.entities
            and network().attribute(*cell).asked
        }

    def pick(self, rows: list[T]) -> T | None:
        """Returns one of some rows; None where there are none."""
        return self.random.choice(rows) if rows else None

    def got(self, rows: list[Cell]) -> Program | None:
        """Returns what asks for one of some cells."""
        cell = self.pick(rows)
        return None if cell is None else _get(*cell)

    def found(self, cell: Cell) -> Program | None:
        """Returns what asks for a cell by way of another attribute of its entity."""
        entity, target = cell
        group = network().group_of(entity)
        bridges = [
            name for of, name in self.asked
            if of == entity and name != target and (name, target) not in TELLING
        ]  # fmt: skip
        bridge = self.pick(bridges) if group in GROUPS else None
        if bridge is None:
            return None
        where = {"group": group, "attribute": bridge, "value": self.known[entity, bridge]}
        return _get({"op": "only", **where}, target)


def simple(facts: Facts) -> Program | None:
    """One fact, said once or more, that did not change."""
    return facts.got([cell for cell in facts.asked if cell not in facts.told.changed])


def conditional(facts: Facts) -> Program | None:
    """Two facts of one entity: one to find it by, one to ask for."""
    cell = facts.pick([cell for cell in facts.asked if network().group_of(cell[0]) in GROUPS])
    return None if cell is None else facts.found(cell)


def comparative(facts: Facts) -> Program | None:
    """Two of a group, or several; least or most by a coin, so that neither's name tells."""
    net = network()
    rows = facts.by_attribute.items()
    key = facts.pick([key for key, of in rows if len(of) > 1 and net.attributes[key].is_ordered])
    if key is None:
        return None
    entities, side = facts.by_attribute[key], facts.random.choice(("most", "least"))
    ask = {"attribute": key[1], "side": side}
    if net.attributes[key].ordered:
        pair = _maybe_equal(facts, key[1], entities)
        return {"op": "compare", "among": pair, **ask, "tie": True} if pair else None
    n = facts.random.choice((2, min(LISTED, len(entities))))
    among = facts.random.sample(entities, n)
    if n == 2:
        return {"op": "compare", "among": among, **ask, "tie": False}
    return {"op": "extreme", "among": among, **ask}


def _maybe_equal(facts: Facts, name: str, entities: list[str]) -> list[str] | None:
    """Two that are the same one time in three: where "the same" is offered, it must be as often
    right as either of the two."""
    pairs = [[a, b] for a in entities for b in entities if a < b]
    equal = [pair for pair in pairs if len({facts.known[entity, name] for entity in pair}) == 1]
    if not equal or len(equal) == len(pairs):
        return None
    others = [pair for pair in pairs if pair not in equal]
    pair = facts.random.choice(equal if facts.random.random() < 1 / 3 else others)
    facts.random.shuffle(pair)
    return pair


def aggregative(facts: Facts) -> Program | None:
    """How many are above or below a bound, which makes every number as likely; or a total."""
    net = network()
    if facts.told.world.domain == "shopping" and facts.random.random() < 0.5:
        return _total(facts)
    rows = facts.by_attribute.items()
    counted = [
        key for key, of in rows
        if len(of) > 2 and net.attributes[key].type in ("integer", "date", "moment")
    ]  # fmt: skip
    key = facts.pick(counted)
    if key is None:
        return None
    entities = facts.by_attribute[key]
    among = facts.random.sample(entities, min(LISTED, len(entities)))
    values: list[Any] = sorted(facts.known[entity, key[1]] for entity in among)
    if len(set(values)) < len(values):
        return None
    bound, n = facts.random.choice(("above", "below")), facts.random.randrange(len(values) + 1)
    if n == len(values):
        limit = beyond(net.attributes[key], values, bound, facts.random.randint(1, 3))
    else:
        limit = values[-n - 1] if bound == "above" else values[n]
    return {"op": "count", "among": among, "attribute": key[1], "bound": bound, "value": limit}


def beyond(attribute: Attribute, values: list[Any], bound: str, step: int) -> Value:
    """Returns a bound that all of some sorted values lie above, or below."""
    edge, step = (values[0], -step) if bound == "above" else (values[-1], step)
    if attribute.type == "integer":
        return max(0, int(edge) + step)  # what is counted or measured here is never below 1
    return (date.fromisoformat(edge[:10]) + timedelta(step)).isoformat() + str(edge[10:])


def _total(facts: Facts) -> Program | None:
    shops = facts.by_attribute.get(("purchase", "shop"), [])
    values = [facts.known[entity, "shop"] for entity in shops]
    # a shop with several purchases where there is one: the price of one thing is no total
    value = facts.pick([value for value in values if values.count(value) > 1] or values)
    where = {"group": "purchase", "attribute": "shop", "value": value}
    return None if value is None else {"op": "sum", **where, "target": "price"}


def post_processing(facts: Facts) -> Program | None:
    """What follows from a value; half of the time, of an entity that must be found first."""
    cell = facts.pick([cell for cell in facts.asked if cell[1] in FUNCTIONS])
    if cell is None:
        return None
    of = (facts.found(cell) if facts.random.random() < 0.5 else None) or _get(*cell)
    function = facts.random.choice(FUNCTIONS[cell[1]])
    more = {"n": facts.random.randint(3, 6)} if function == "digits" else {}
    return {"op": "apply", "function": function, "of": of, **more}


def update(facts: Facts) -> Program | None:
    """What changed, as it is now."""
    return facts.got([cell for cell in facts.told.changed if cell in facts.asked])


def as_of(facts: Facts) -> Program | None:
    """What changed, as it was at a moment before."""
    cell = facts.pick([cell for cell in facts.told.changed if cell in facts.asked])
    if cell is None:
        return None
    before, after = (row[0] // MINUTE for row in facts.told.knowledge.said[cell])
    time = time_of(minute_of(facts.random.randint(before + 1, after - 1) * MINUTE))
    return {"op": "as_of", "time": time, "of": _get(*cell)}


def retraction(facts: Facts) -> Program | None:
    """What was told and then taken back."""
    return facts.got(list(facts.told.retracted))


def abstain(facts: Facts) -> Program | None:
    """What was never told."""
    return facts.got([cell for cell in facts.told.withheld if network().attribute(*cell).asked])


def preference(facts: Facts) -> Program | None:
    """Which of several is liked or disliked, or whether one is."""
    things = facts.by_attribute.get(("preference", "polarity"), [])
    ask = {"attribute": "polarity", "value": facts.random.choice(("like", "dislike"))}
    if facts.random.random() < 0.5:
        thing = facts.pick(things)
        return {"op": "holds", "of": thing, **ask} if thing else None
    fits = [thing for thing in things if facts.known[thing, "polarity"] == ask["value"]]
    others = [thing for thing in things if thing not in fits]
    if not fits or not others:
        return None
    among = [facts.random.choice(fits), *facts.random.sample(others, min(len(others), LISTED - 1))]
    facts.random.shuffle(among)
    return {"op": "only", "among": among, **ask}


def cross_user(facts: Facts) -> Program | None:
    """What another user told of theirs, and this one never."""
    return facts.got(list(facts.owners))


def _get(of: str | Program, attribute: str) -> Program:
    return {"op": "get", "of": of, "attribute": attribute}


KINDS: dict[str, Callable[[Facts], Program | None]] = {
    "simple": simple, "conditional": conditional, "comparative": comparative,
    "aggregative": aggregative, "post_processing": post_processing, "noisy": conditional,
    "update": update, "as_of": as_of, "retraction": retraction, "abstain": abstain,
    "preference": preference, "cross_user": cross_user,
}  # fmt: skip
"""The kinds; a noisy one is a conditional one with talk of something else before it."""
ABSTAINING = ("retraction", "abstain", "cross_user")
"""Kinds whose right answer is that there is none."""
