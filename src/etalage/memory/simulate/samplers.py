"""How is one attribute drawn, given its parents? Samplers by name, each with its probabilities.

A sampler knows its exact distribution for every value of the parents, so that the network can be
tested against what it draws. Parents come as a tuple, in the order that the network names them.
"""

from __future__ import annotations

from bisect import bisect, bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from itertools import accumulate
from math import erf, sqrt
from random import Random
from typing import Any

from etalage.errors import DataError
from etalage.memory.trajectory import Value

Parents = tuple[Value, ...]
Pmf = dict[Value, float]
Words = Mapping[str, Mapping[str, str]]
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Sampler:
    """Finitely many values, with a probability for each, given the parents."""

    def __init__(self, pmf: Callable[[Parents], Pmf], n_parents: int) -> None:
        self.pmf = pmf
        self.n_parents = n_parents
        self._rows: dict[Parents, tuple[list[Value], list[float]]] = {}

    def draw(self, random: Random, parents: Parents) -> Value:
        """Returns one value."""
        row = self._rows.get(parents)
        if row is None:
            pmf = self.pmf(parents)
            row = self._rows[parents] = (list(pmf), list(accumulate(pmf.values())))
        values, reached = row
        # the last sum may lie a hair under 1, and a draw above it
        return values[min(bisect(reached, random.random()), len(values) - 1)]


class Computed(Sampler):
    """One value, which the parents settle."""

    def __init__(self, value: Callable[[Parents], Value], n_parents: int) -> None:
        super().__init__(lambda parents: {value(parents): 1.0}, n_parents)
        self.value = value

    def draw(self, random: Random, parents: Parents) -> Value:
        """Returns the value."""
        return self.value(parents)


class Digits(Sampler):
    """A prefix and random digits: too many values to list."""

    def __init__(self, prefixes: list[int], n: int) -> None:
        super().__init__(lambda parents: {}, 0)
        self.prefixes, self.n = prefixes, n

    def draw(self, random: Random, parents: Parents) -> Value:
        """Returns one number, as text."""
        return f"{random.choice(self.prefixes)}{random.randrange(10**self.n):0{self.n}d}"


def even(values: Iterable[Value]) -> Pmf:
    """Returns the same probability for every value."""
    listed = list(values)
    return dict.fromkeys(listed, 1 / len(listed))


def normal(mean: float, deviation: float, low: int, high: int) -> Pmf:
    """Returns a normal variable, rounded to whole numbers and drawn to the ends of its range."""

    def below(x: float) -> float:
        return 0.5 * (1 + erf((x - mean) / deviation / sqrt(2)))

    edges = [0.0, *(below(x + 0.5) for x in range(low, high)), 1.0]
    return {x: edges[x - low + 1] - edges[x - low] for x in range(low, high + 1)}


def built(name: str, given: Any, words: Words) -> Sampler:
    """Returns the sampler of a name with its settings from the network's file.

    Raises:
        DataError: for a name or settings that mean nothing.
    """
    if name not in SAMPLERS:
        raise DataError(f"there is no sampler {name!r}; the samplers are {', '.join(SAMPLERS)}")
    try:
        return SAMPLERS[name](given, words)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"sampler {name!r} cannot be made of {given!r}: {error!r}") from error


def _uniform(given: str, words: Words) -> Sampler:
    pmf = even(words[given])
    return Sampler(lambda parents: pmf, 0)


def _table(given: dict[str, Any], words: Words) -> Sampler:
    """Rows by the parent's value, or by the range that it lies in (`below` has the upper ends)."""
    rows, below = given["rows"], given.get("below")
    otherwise: Pmf | None = given.get("else")
    tables = [*(rows if below else rows.values()), *([otherwise] if otherwise else [])]
    for row in tables:
        if abs(sum(row.values()) - 1) > 1e-9 or min(row.values()) < 0:
            raise DataError(f"the probabilities {row} add up to {sum(row.values())}, not to 1")
    if below:
        if len(rows) != len(below) + 1 or sorted(below) != list(below):
            raise DataError(f"{len(below)} rising ends make {len(below) + 1} rows, not {len(rows)}")
        return Sampler(lambda parents: rows[bisect_right(below, parents[0])], 1)
    if not rows:
        return Sampler(lambda parents: dict(otherwise or {}), 0)
    return Sampler(lambda p: rows.get(p[0], otherwise) if otherwise else rows[p[0]], 1)


def _by_row(given: dict[str, list[str]], words: Words) -> Sampler:
    rows = {key: even(row) for key, row in given.items()}
    return Sampler(lambda parents: rows[str(parents[0])], 1)


def _range(given: list[int], words: Words) -> Sampler:
    pmf = even(_span(given))
    return Sampler(lambda parents: pmf, 0)


def _range_by(given: dict[str, list[int]], words: Words) -> Sampler:
    rows = {key: even(_span(row)) for key, row in given.items()}
    return Sampler(lambda parents: rows[str(parents[0])], 1)


def _offset(given: dict[str, list[int]], words: Words) -> Sampler:
    rows = {key: _span(row) for key, row in given.items()}
    return Sampler(lambda p: even(int(p[1]) + step for step in rows[str(p[0])]), 2)


def _span(given: list[int]) -> range:
    low, high, *step = given
    if not low < high:
        raise DataError(f"a range goes from a lower to a higher number; got {given}")
    return range(low, high + 1, *step)


def _normal(given: dict[str, Any], words: Words) -> Sampler:
    rows = {key: normal(*row, *given["clip"]) for key, row in given["rows"].items()}
    return Sampler(lambda parents: rows[str(parents[0])], 1)


def _copy(given: dict[str, Any], words: Words) -> Sampler:
    """For some entities the user's own value, with a share of certainty; else a word of a list."""
    when, share, other = set(given["when"]), given.get("share", 1.0), even(words[given["else"]])

    def pmf(parents: Parents) -> Pmf:
        if parents[0] not in when:
            return other
        mixed = {value: p * (1 - share) for value, p in other.items() if share < 1}
        mixed[parents[1]] = mixed.get(parents[1], 0.0) + share
        return mixed

    return Sampler(pmf, 2)


def _mixture(given: dict[str, Any], words: Words) -> Sampler:
    weights, other = given["parents"], even(words[given["else"]])

    def pmf(parents: Parents) -> Pmf:
        mixed = {value: p * (1 - sum(weights)) for value, p in other.items()}
        for value, weight in zip(parents, weights, strict=True):
            mixed[value] = mixed.get(value, 0.0) + weight
        return mixed

    return Sampler(pmf, len(weights))


def _member(given: dict[str, list[str]], words: Words) -> Sampler:
    of = {member: name for name, members in given.items() for member in members}
    return Computed(lambda parents: of[str(parents[0])], 1)


def _name(given: Any, words: Words) -> Sampler:
    first = {"female": words["woman"], "male": words["man"]}
    return Sampler(lambda p: even(f"{name} {p[1]}" for name in first[str(p[0])]), 2)


def _email(given: Any, words: Words) -> Sampler:
    def address(parents: Parents) -> Value:
        name, employer = (str(parent).lower() for parent in parents)
        return f"{name.replace(' ', '.')}@{employer.replace(' ', '')}.example"

    return Computed(address, 2)


def _serial(given: list[int], words: Words) -> Sampler:
    """A prefix and digits that no two users share: a step through all numbers of that length."""
    prefix, length = given
    n = length - len(str(prefix))
    # odd and no multiple of 5, so that every number is reached once
    step = int(10**n * 0.6180339887) // 10 * 10 + 7
    return Computed(lambda p: f"{prefix}{(int(p[0]) + 1) * step % 10**n:0{n}d}", 1)


def _birthday(given: Any, words: Words) -> Sampler:
    pmf: Pmf = {
        f"{month:02d}-{day:02d}": 1 / 12 / n
        for month, n in enumerate(DAYS, 1)
        for day in range(1, n + 1)
    }
    return Sampler(lambda parents: pmf, 0)


def _day_of(given: list[date], words: Words) -> Sampler:
    first, last = given
    pmf = even((first + timedelta(n)).isoformat() for n in range((last - first).days + 1))
    return Sampler(lambda parents: pmf, 0)


def _days_before(given: Any, words: Words) -> Sampler:
    return Computed(lambda p: (date.fromisoformat(str(p[0])) - timedelta(int(p[1]))).isoformat(), 2)


def _moment(given: Any, words: Words) -> Sampler:
    """So many weeks after the week of a date, on a weekday (0 is Monday), at an hour."""

    def moment(parents: Parents) -> Value:
        start, week, weekday, hour = date.fromisoformat(str(parents[0])), *map(int, parents[1:])
        day = start + timedelta(7 * week + weekday - start.weekday())
        return f"{day.isoformat()}T{hour:02d}:00"

    return Computed(moment, 4)


def _product(given: Any, words: Words) -> Sampler:
    return Computed(lambda parents: int(parents[0]) * int(parents[1]), 2)


SAMPLERS: dict[str, Callable[[Any, Words], Sampler]] = {
    "uniform": _uniform, "table": _table, "by_row": _by_row, "range": _range,
    "range_by": _range_by, "offset": _offset, "normal": _normal, "copy": _copy,
    "mixture": _mixture, "member": _member, "name": _name, "email": _email, "serial": _serial,
    "birthday": _birthday, "day_of": _day_of, "days_before": _days_before, "moment": _moment,
    "product": _product, "digits": lambda given, words: Digits(**given),
}  # fmt: skip
"""What the network's file may name after `draw`."""
