"""What is asked of a user's memory? A maker of programs for each kind of question.

A maker draws a program that may be asked; what has no single answer, options that do not differ,
or evidence that is not clear is drawn again. MemSim's six kinds come first.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.evidence import evidence_of
from etalage.memory.simulate.options import options_for
from etalage.memory.simulate.programs import Program, value_of
from etalage.memory.simulate.schema import SELF, Attribute, network
from etalage.memory.simulate.surface import minute_of, surface, time_of
from etalage.memory.simulate.telling import MINUTE, Told
from etalage.memory.simulate.world import Cell
from etalage.memory.trajectory import Question, Value

TRIES = 40
FUNCTIONS = {"birthday": ("season", "month"), "moment": ("weekday",), "delivery": ("weekday",),
             "phone": ("digits",), "email": ("suffix",)}  # fmt: skip
TELLING = {("employer", "email"), ("name", "email")}
"""Pairs of which the first is a part of the second, so that a question would tell its answer."""
LISTED = 4


class Asker:
    """What can be asked of one user."""

    def __init__(self, told: Told, others: list[Told], random: Random) -> None:
        self.told = told
        self.others = others
        self.random = random
        self.net = network()
        self.time = told.messages[-1].time + 10 * MINUTE
        knowledge = told.knowledge
        self.known: dict[Cell, Value] = {}
        for cell in knowledge.said:
            value = knowledge.value(cell, self.time)
            if value is not None:
                self.known[cell] = value
        self.by_attribute: dict[tuple[str, str], list[str]] = {}
        for entity, name in self.known:
            self.by_attribute.setdefault((self.net.group_of(entity), name), []).append(entity)
        self.asked = [cell for cell in self.known if self.net.attribute(*cell).asked]
        self.steady = [cell for cell in self.asked if cell not in told.changed]

    def question(self, kind: str, n: int) -> Question | None:
        """Returns a question of a kind, the nth of this user; None where the user has none."""
        for _ in range(TRIES):
            ask = MAKERS[kind](self)
            if ask is None:
                continue
            found = self._asked(kind, ask, n)
            if found is not None:
                return found
        return None

    def _asked(self, kind: str, ask: dict[str, Any], n: int) -> Question | None:
        """The whole question of a program; None where it may not be asked."""
        told, random = self.told, self.random
        program: Program = {"language": told.language, "ask": ask}
        used: list[tuple[Cell, int]] = []
        typed = value_of(program, told.knowledge, self.time, used)
        talk = asking(told.language)
        form = "now" if kind == "update" else ""
        text = talk.question(program, random, form)
        if kind == "noisy":
            text = talk.ramble(text, random)
        if (typed is None) != (kind in ABSTAINING):
            return None
        meta: dict[str, Any] = {
            "hops": len(dict.fromkeys(used)),
            "operation": ask["op"],
            "text_by": "template",
        }
        answer, options, evidence, aliases = None, (), (), ()
        if typed is not None:
            stale = self._stale(ask)
            found = options_for(program, typed, told.world, random, stale, len(used) // 2)
            answer = surface(told.language).said(typed[1], typed[0])
            if found is None or (ask["op"] in ("get", "apply", "sum", "as_of") and answer in text):
                return None
            sets = evidence_of(program, told.knowledge, self.time, used)
            if sets is None:
                return None
            options, evidence, aliases = found, sets, _aliases(typed[1], typed[0], answer)
            if stale:
                meta["stale"] = surface(told.language).said(typed[1], stale[0])
        elif kind == "retraction":
            evidence = self._taken_back(ask)
        elif kind == "cross_user":
            meta["owner"] = self.owners[ask["of"], ask["attribute"]]
        return Question(
            f"{told.user}-q{n:03d}", kind, text, self.time + n * MINUTE, answer, aliases, evidence,
            options, told.language, program, meta,
        )  # fmt: skip

    def _stale(self, ask: dict[str, Any]) -> tuple[Value, ...]:
        """Values of the asked cell that hold at another time."""
        inner = ask["of"] if ask["op"] == "as_of" else ask
        if inner["op"] != "get" or not isinstance(inner["of"], str):
            return ()
        cell = (inner["of"], inner["attribute"])
        if cell not in self.told.changed:
            return ()
        return (self.known[cell] if ask["op"] == "as_of" else self.told.changed[cell],)

    def _taken_back(self, ask: dict[str, Any]) -> tuple[frozenset[str], ...]:
        """The message that takes a cell back."""
        rows = self.told.knowledge.said[ask["of"], ask["attribute"]]
        return (frozenset({rows[-1][1]}),)

    def pick(self, rows: list[Any]) -> Any:
        """Returns one of some rows; None where there are none."""
        return self.random.choice(rows) if rows else None

    def get(self, cell: Cell | None) -> dict[str, Any] | None:
        """Returns the program that asks for a cell."""
        return cell and {"op": "get", "of": cell[0], "attribute": cell[1]}

    def simple(self) -> dict[str, Any] | None:
        return self.get(self.pick(self.steady))

    def conditional(self) -> dict[str, Any] | None:
        """Two attributes of one entity: one to find it by, one to ask for."""
        cell = self.pick([c for c in self.asked if self.net.group_of(c[0]) in GROUPS])
        if cell is None:
            return None
        entity, target = cell
        bridges = [
            b for e, b in self.asked if e == entity and b != target and (b, target) not in TELLING
        ]
        bridge = self.pick(bridges)
        if bridge is None:
            return None
        where = {
            "group": self.net.group_of(entity),
            "attribute": bridge,
            "value": self.known[entity, bridge],
        }
        return {"op": "get", "of": {"op": "only", **where}, "attribute": target}

    def comparative(self) -> dict[str, Any] | None:
        """Two of a group, or several; least or most by a coin, so that neither's name tells."""
        key = self.pick([k for k, rows in self.by_attribute.items()
                         if len(rows) > 1 and self.net.attributes[k].is_ordered])  # fmt: skip
        if key is None:
            return None
        attribute, side = self.net.attributes[key], self.random.choice(("most", "least"))
        entities = self.by_attribute[key]
        if attribute.ordered:
            return self._tied(key, side)
        n = self.random.choice((2, min(LISTED, len(entities))))
        among = self.random.sample(entities, n)
        if n == 2:
            return {
                "op": "compare",
                "among": among,
                "attribute": key[1],
                "side": side,
                "tie": False,
            }
        return {"op": "extreme", "among": among, "attribute": key[1], "side": side}

    def _tied(self, key: tuple[str, str], side: str) -> dict[str, Any] | None:
        """Two that may be the same, which is so one time in three: where "the same" is offered,
        it must be as often right as either name."""
        entities = self.by_attribute[key]
        pairs = [[a, b] for a in entities for b in entities if a < b]
        equal = [p for p in pairs if self.known[p[0], key[1]] == self.known[p[1], key[1]]]
        others = [p for p in pairs if p not in equal]
        if not (equal and others):
            return None
        pair = self.random.choice(equal if self.random.random() < 1 / 3 else others)
        self.random.shuffle(pair)
        return {"op": "compare", "among": pair, "attribute": key[1], "side": side, "tie": True}

    def aggregative(self) -> dict[str, Any] | None:
        """How many are above or below, with a bound for each number alike; or a total."""
        if self.told.world.domain == "shopping" and self.random.random() < 0.5:
            return self._total()
        key = self.pick([
            k for k, rows in self.by_attribute.items()
            if len(rows) > 2 and self.net.attributes[k].type in ("integer", "date", "moment")
        ])  # fmt: skip
        if key is None:
            return None
        entities = self.by_attribute[key]
        among = self.random.sample(entities, min(LISTED, len(entities)))
        values = sorted(self.known[entity, key[1]] for entity in among)
        if len(set(values)) < len(values):
            return None
        bound, n = self.random.choice(("above", "below")), self.random.randrange(len(values) + 1)
        if n == len(values):
            limit = _beyond(self.net.attributes[key], values, bound, self.random)
        else:
            limit = values[-n - 1] if bound == "above" else values[n]
        return {"op": "count", "among": among, "attribute": key[1], "bound": bound, "value": limit}

    def _total(self) -> dict[str, Any] | None:
        shops = self.by_attribute.get(("purchase", "shop"), [])
        priced = [e for e in shops if (e, "price") in self.known]
        if not priced:
            return None
        values = [self.known[e, "shop"] for e in priced]
        # where some shop sold twice, that is asked, since the price of one thing is no total
        value = self.random.choice([v for v in values if values.count(v) > 1] or values)
        return {
            "op": "sum",
            "group": "purchase",
            "attribute": "shop",
            "value": value,
            "target": "price",
        }

    def post_processing(self) -> dict[str, Any] | None:
        cells = [c for c in self.asked if c[1] in FUNCTIONS]
        cell = self.pick(cells)
        if cell is None:
            return None
        of = self.get(cell)
        if self.random.random() < 0.5:
            of = self._found_by_another(cell) or of
        function = self.random.choice(FUNCTIONS[cell[1]])
        more = {"n": self.random.randint(3, 6)} if function == "digits" else {}
        return {"op": "apply", "function": function, "of": of, **more}

    def _found_by_another(self, cell: Cell) -> dict[str, Any] | None:
        """A cell asked for by way of another attribute of its entity."""
        entity, target = cell
        bridges = [
            b for e, b in self.asked if e == entity and b != target and (b, target) not in TELLING
        ]
        if self.net.group_of(entity) not in GROUPS or not bridges:
            return None
        bridge = self.random.choice(bridges)
        where = {
            "group": self.net.group_of(entity),
            "attribute": bridge,
            "value": self.known[entity, bridge],
        }
        return {"op": "get", "of": {"op": "only", **where}, "attribute": target}

    def update(self) -> dict[str, Any] | None:
        return self.get(self.pick([c for c in self.told.changed if c in self.asked]))

    def as_of(self) -> dict[str, Any] | None:
        """The value before a change, asked at a moment between."""
        cell = self.pick([c for c in self.told.changed if c in self.asked])
        if cell is None:
            return None
        before, after = (row[0] for row in self.told.knowledge.said[cell][:2])
        first, last = before // MINUTE + 1, after // MINUTE - 1
        if first > last:
            return None
        time = time_of(minute_of(self.random.randint(first, last) * MINUTE))
        return {"op": "as_of", "time": time, "of": self.get(cell)}

    def retraction(self) -> dict[str, Any] | None:
        return self.get(self.pick(list(self.told.retracted)))

    def abstain(self) -> dict[str, Any] | None:
        return self.get(self.pick([c for c in self.told.withheld if self.net.attribute(*c).asked]))

    def cross_user(self) -> dict[str, Any] | None:
        """What somebody else told of theirs, and this user never of their own."""
        return self.get(self.pick(list(self.owners)))

    @property
    def owners(self) -> dict[Cell, str]:
        """Cells that others told and this user did not, and one who did."""
        mine = self.told.knowledge.said
        own = {self.net.group_of(entity) for entity in self.told.world.entities}
        return {
            cell: other.user
            for other in self.others
            for cell in other.knowledge.said
            if cell not in mine and self.net.attribute(*cell).asked
            and self.net.group_of(cell[0]) in own
            and (cell[0] == SELF or cell[0] in self.told.world.entities)
        }  # fmt: skip

    def preference(self) -> dict[str, Any] | None:
        """Which of several is liked, or whether one thing is."""
        things = self.by_attribute.get(("preference", "polarity"), [])
        value = self.random.choice(("like", "dislike"))
        if self.random.random() < 0.5:
            thing = self.pick(things)
            return thing and {"op": "holds", "of": thing, "attribute": "polarity", "value": value}
        right = [t for t in things if self.known[t, "polarity"] == value]
        wrong = [t for t in things if self.known[t, "polarity"] != value]
        n_wrong = min(len(wrong), LISTED - 1)
        if not right or n_wrong < 1:
            return None
        among = [self.random.choice(right), *self.random.sample(wrong, n_wrong)]
        self.random.shuffle(among)
        return {"op": "only", "among": among, "attribute": "polarity", "value": value}


GROUPS = ("person", "event", "purchase")
"""Groups whose entities can be found by what is known of them."""
MAKERS: dict[str, Callable[[Asker], dict[str, Any] | None]] = {
    "simple": Asker.simple, "conditional": Asker.conditional, "comparative": Asker.comparative,
    "aggregative": Asker.aggregative, "post_processing": Asker.post_processing,
    "noisy": Asker.conditional, "update": Asker.update, "as_of": Asker.as_of,
    "retraction": Asker.retraction, "abstain": Asker.abstain, "preference": Asker.preference,
    "cross_user": Asker.cross_user,
}  # fmt: skip
"""Kinds of questions."""
ABSTAINING = ("retraction", "abstain", "cross_user")
"""Kinds whose right answer is that there is none."""


def _beyond(attribute: Attribute, values: list[Any], bound: str, random: Random) -> Value:
    """A bound that all values lie above, or below."""
    from datetime import date, timedelta

    step = random.randint(1, 3)
    edge = values[0] if bound == "above" else values[-1]
    step = -step if bound == "above" else step
    if attribute.type == "integer":
        return int(edge) + step
    day = date.fromisoformat(str(edge)[:10]) + timedelta(step)
    return day.isoformat() + str(edge)[10:]


def _aliases(attribute: Attribute, value: Value, answer: str) -> tuple[str, ...]:
    """Other ways to say an answer."""
    match attribute.type:
        case "integer":
            return (str(value),)
        case "day" | "date" | "moment":
            return (str(value),)
        case "entity":
            return tuple(surface(language).mentions[str(value)] for language in ("en", "zh"))
        case "word" | "name":
            said = {surface(language).said(attribute, value) for language in ("en", "zh")}
            return tuple(sorted(said - {answer}))
    return ()
