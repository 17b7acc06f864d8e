"""What follows from what was said? Small typed programs over facts, and the facts at a time.

A program is JSON: {"language": "en", "ask": {"op": ...}}. An entity is "kind:name", or a program
that finds one. Operations, with what they need to be known:

- get: `attribute` of `of`, an entity: the latest value
- only: the one entity of a `group` (or of `among`) whose `attribute` is `value`
- extreme: the one of `among` with the `most` or `least` (`side`) of `attribute`; all must be known
- compare: the same for two, and "the same" where `tie` is allowed
- count: how many of `among` have `attribute` above or below (`bound`) `value`; all must be known
- sum: `target` added up over all of `group` whose `attribute` is `value`
- holds: whether `attribute` of `of` is `value`; yes or no
- apply: `function` of `of`: season, month, weekday, suffix, digits (the sum of the last `n`)
- as_of: `of`, from what was said up to `time`

What is not known, was taken back, or is not the only one, has no answer: None, never a guess.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Set
from datetime import date
from typing import Any

from etalage.errors import DataError
from etalage.memory.simulate.schema import CODE, COUNT, ENTITY, Attribute, network, words_of
from etalage.memory.simulate.surface import surface
from etalage.memory.simulate.world import Cell
from etalage.memory.trajectory import Fact, Value

Program = dict[str, Any]
Typed = tuple[Value, Attribute]
SEASONS = ("winter", "spring", "summer", "autumn")


class Unknown(Exception):
    """The facts do not settle it."""


class Knowledge:
    """What was said of each attribute of each entity, and when, in whatever order it was read."""

    def __init__(self) -> None:
        self.said: dict[Cell, list[tuple[int, str, Value | None]]] = {}
        """Of each cell, by time, then message: time, message, and value or None if taken back."""
        self.groups: dict[str, list[str]] = {}
        """Entities of each group, as they were first met."""

    def add(self, facts: Iterable[Fact], time: int, message: str) -> None:
        """Takes in what one message says; what is there already stays once."""
        for fact in facts:
            cell = (fact.entity, fact.attribute)
            rows = self.said.get(cell)
            if rows is None:
                rows = self.said[cell] = []
                of_group = self.groups.setdefault(network().group_of(fact.entity), [])
                if fact.entity not in of_group:
                    of_group.append(fact.entity)
            row = (time, message, fact.value)
            if not rows or rows[-1][:2] < row[:2]:
                rows.append(row)
            elif row not in rows:
                rows.insert(bisect([other[:2] for other in rows], row[:2]), row)

    def value(self, cell: Cell, time: int) -> Value | None:
        """Returns the latest value up to a time; None if there is none, or it was taken back."""
        found = None
        for said, _, value in self.said.get(cell, ()):
            if said > time:
                break
            found = value
        return found

    def support(self, cell: Cell, time: int) -> list[str]:
        """Returns the messages each of which alone says the latest value."""
        ids: list[str] = []
        latest: Value | None = None
        for said, message, value in self.said.get(cell, ()):
            if said > time:
                break
            if value is None or value != latest:
                ids = []
            latest = value
            ids.append(message)
        return ids

    def of(self, messages: Set[str]) -> Knowledge:
        """Returns what these messages say by themselves."""
        return _Part(self, lambda message: message in messages)

    def without(self, messages: Set[str]) -> Knowledge:
        """Returns what all but these messages say."""
        return _Part(self, lambda message: message not in messages)


class _Part(Knowledge):
    """What some of the messages say."""

    def __init__(self, whole: Knowledge, keeps: Callable[[str], bool]) -> None:
        self.said, self.groups, self.keeps = whole.said, whole.groups, keeps

    def value(self, cell: Cell, time: int) -> Value | None:
        found = None
        for said, message, value in self.said.get(cell, ()):
            if said > time:
                break
            if self.keeps(message):
                found = value
        return found


def run(
    program: Program, knowledge: Knowledge, time: int, used: list[tuple[Cell, int]] | None = None
) -> str | None:
    """Returns the answer in words, from what was said up to a time; None where there is none.

    `used` takes the cells that the answer rests on, each with the time it was looked at.

    Raises:
        DataError: for what is no program.
    """
    typed = value_of(program, knowledge, time, used)
    return None if typed is None else surface(program["language"]).said(typed[1], typed[0])


def value_of(
    program: Program, knowledge: Knowledge, time: int, used: list[tuple[Cell, int]] | None = None
) -> Typed | None:
    """Returns the answer as a value with what it is; None where there is none."""
    try:
        return _Run(knowledge, [] if used is None else used).ask(program["ask"], time)
    except Unknown:
        return None
    except (KeyError, TypeError) as error:
        raise DataError(f"{program!r} is no program ({error!r}); see simulate.programs") from error


class _Run:
    """One evaluation."""

    def __init__(self, knowledge: Knowledge, used: list[tuple[Cell, int]]) -> None:
        self.knowledge = knowledge
        self.used = used

    def ask(self, ask: Program, time: int) -> Typed:
        operation = getattr(self, f"_{ask['op']}", None)
        if operation is None:
            raise DataError(f"there is no operation {ask['op']!r}; see simulate.programs")
        found: Typed = operation(ask, time)
        return found

    def look(self, cell: Cell, time: int) -> Value:
        """The latest value of a cell, which the answer rests on."""
        value = self.knowledge.value(cell, time)
        if value is None:
            raise Unknown
        self.used.append((cell, time))
        return value

    def all_of(self, ask: Program, time: int) -> list[tuple[Value, str]]:
        """What orders the attribute of each of some entities; all must be known."""
        net, name = network(), ask["attribute"]
        return [
            (net.rank(net.attribute(entity, name), self.look((entity, name), time)), entity)
            for entity in ask["among"]
        ]

    def where(self, ask: Program, time: int) -> list[str]:
        """Entities whose attribute is a value."""
        among: list[str] = (
            ask["among"] if "among" in ask else self.knowledge.groups.get(ask["group"], [])
        )
        attribute, value = ask["attribute"], ask["value"]
        return [e for e in among if self.knowledge.value((e, attribute), time) == value]

    def _get(self, ask: Program, time: int) -> Typed:
        of = ask["of"]
        entity = of if isinstance(of, str) else str(self.ask(of, time)[0])
        value = self.look((entity, ask["attribute"]), time)
        return value, network().attribute(entity, ask["attribute"])

    def _only(self, ask: Program, time: int) -> Typed:
        found = self.where(ask, time)
        if len(found) != 1:
            raise Unknown
        self.used.append(((found[0], ask["attribute"]), time))
        return found[0], ENTITY

    def _extreme(self, ask: Program, time: int) -> Typed:
        rows = sorted(self.all_of(ask, time), reverse=ask["side"] == "most")
        if rows[0][0] == rows[1][0]:
            raise Unknown
        return rows[0][1], ENTITY

    def _compare(self, ask: Program, time: int) -> Typed:
        if ask["tie"]:
            values = {value for value, _ in self.all_of(ask, time)}
            if len(values) == 1:
                return "the same", words_of("tie")
            self.used.clear()
        return self._extreme(ask, time)

    def _count(self, ask: Program, time: int) -> Typed:
        limit, is_above = ask["value"], ask["bound"] == "above"
        values = [value for value, _ in self.all_of(ask, time)]
        return sum((v > limit) if is_above else (v < limit) for v in values), COUNT

    def _sum(self, ask: Program, time: int) -> Typed:
        found = self.where(ask, time)
        if not found:
            raise Unknown
        total = 0
        for entity in found:
            self.used.append(((entity, ask["attribute"]), time))
            total += int(self.look((entity, ask["target"]), time))
        return total, network().attribute(found[0], ask["target"])

    def _holds(self, ask: Program, time: int) -> Typed:
        value = self.look((ask["of"], ask["attribute"]), time)
        return "yes" if value == ask["value"] else "no", words_of("truth")

    def _as_of(self, ask: Program, time: int) -> Typed:
        return self.ask(ask["of"], min(time, ask["time"]))

    def _apply(self, ask: Program, time: int) -> Typed:
        return applied(ask["function"], str(self.ask(ask["of"], time)[0]), ask.get("n", 0))


def applied(function: str, value: str, n: int = 0) -> Typed:
    """Returns a function of a value.

    >>> applied("season", "12-24")[0], applied("digits", "13100456", 3)[0]
    ('winter', 15)
    """
    match function:
        case "season":
            return SEASONS[int(value[:2]) % 12 // 3], words_of("season")
        case "month":
            return list(network().words["month"])[int(value[:2]) - 1], words_of("month")
        case "weekday":
            day = date.fromisoformat(value[:10]).weekday()
            return list(network().words["weekday"])[day], words_of("weekday")
        case "suffix":
            return value.partition("@")[2], CODE
        case "digits":
            return sum(map(int, value[-n:])), COUNT
    raise DataError(f"there is no function {function!r}; see simulate.programs")
