"""What is the relation network, and is it sound? Kinds, attributes, parents and domains, checked.

The network is data (`network/`): words, kinds of entities, the attributes of each group of kinds
with parents and samplers, and what each domain tells. An entity is written "kind:name", and the
user is "self".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from etalage.errors import DataError, did_you_mean
from etalage.memory.simulate.samplers import Sampler, built
from etalage.memory.trajectory import Value
from etalage.recipe.config import Config

ValueType = Literal["word", "name", "integer", "code", "day", "date", "moment", "entity", "count"]
GIVEN = ("itself", "user")
"""Parents that are not attributes: the name of the entity, and the number of the user."""
SELF = "self"


class KindSpec(Config):
    """One kind of entities, as the file has it."""

    group: str
    names: str | None = None


class AttributeSpec(Config):
    """One attribute, as the file has it."""

    type: ValueType
    draw: dict[str, Any]
    words: str | None = None
    unit: str = ""
    parents: list[str] = Field(default_factory=list)
    unique: bool = False
    mutable: bool = False
    ordered: bool = False
    """Whether the words stand in order, least first."""
    asked: bool = True
    """Whether an answer tells enough: not where it follows from the entity, or has two values."""


class Domain(Config):
    """What one domain tells."""

    entities: dict[str, int]
    """How many entities of each kind a user has."""
    told: dict[str, int]
    """How many attributes of each group a user tells."""
    bystanders: dict[str, int]
    """Entities that only noise is about."""
    attributes: dict[str, list[str]]
    """What may be told of each group."""


class NetworkSpec(Config):
    """The file."""

    kinds: dict[str, KindSpec]
    domains: dict[str, Domain]
    attributes: dict[str, dict[str, AttributeSpec]]


@dataclass(frozen=True)
class Attribute:
    """A random variable, or what an answer can be."""

    group: str
    name: str
    type: ValueType
    words: str = ""
    unit: str = ""
    parents: tuple[str, ...] = ()
    sampler: Sampler | None = None
    unique: bool = False
    mutable: bool = False
    ordered: bool = False
    asked: bool = True

    @property
    def is_ordered(self) -> bool:
        """Whether two values can be compared."""
        return self.ordered or self.type in ("integer", "day", "date", "moment")

    @property
    def is_time(self) -> bool:
        """Whether values are earlier or later, not lower or higher."""
        return self.type in ("day", "date", "moment")


class Network:
    """The directed graph of attributes, sound once it is made.

    Raises:
        DataError: for a cycle, a parent that is not there, probabilities that do not add up, words
            or kinds that are not there.
    """

    def __init__(self, given: Mapping[str, Any], words: Mapping[str, Mapping[str, str]]) -> None:
        try:
            spec = NetworkSpec.model_validate(given)
        except ValidationError as error:
            raise DataError(f"the relation network cannot be read: {error}") from error
        self.words = words
        self.kinds = spec.kinds
        self.domains = spec.domains
        self.attributes: dict[tuple[str, str], Attribute] = {
            (group, name): self._attribute(group, name, row)
            for group, rows in spec.attributes.items()
            for name, row in rows.items()
        }
        self.order = {
            group: self._sorted(group, list(rows)) for group, rows in spec.attributes.items()
        }
        self._check_kinds()
        self._check_domains()

    def group_of(self, entity: str) -> str:
        """Returns the group of an entity."""
        kind = self.kinds.get(entity.partition(":")[0])
        if kind is None:
            raise DataError(f"entity {entity!r} is of no kind; kinds are {', '.join(self.kinds)}")
        return kind.group

    def attribute(self, entity: str, name: str) -> Attribute:
        """Returns an attribute of an entity."""
        group = self.group_of(entity)
        try:
            return self.attributes[group, name]
        except KeyError:
            raise DataError(f"a {group} has no attribute {name!r}") from None

    def rank(self, attribute: Attribute, value: Value) -> Value:
        """Returns what orders a value among the others of an ordered attribute."""
        return list(self.words[attribute.words]).index(str(value)) if attribute.ordered else value

    @cached_property
    def entities(self) -> dict[str, str]:
        """All entities there can be, and the kind of each."""
        found = {SELF: SELF}
        for name, kind in self.kinds.items():
            if kind.names:
                found |= {f"{name}:{word}": name for word in self.words[kind.names]}
        return found

    def ancestors(self, group: str, names: list[str]) -> list[str]:
        """Returns the attributes of a group that must be drawn for some of them, in order."""
        needed, waiting = set(), list(names)
        while waiting:
            name = waiting.pop()
            if name in needed:
                continue
            needed.add(name)
            waiting += [
                p for p in self.attributes[group, name].parents if (group, p) in self.attributes
            ]
        return [name for name in self.order[group] if name in needed]

    def _attribute(self, group: str, name: str, row: AttributeSpec) -> Attribute:
        where = f"attribute {group}.{name}"
        if row.type == "word" and row.words not in self.words:
            close = did_you_mean(str(row.words), self.words)
            raise DataError(f"{where}: there are no words {row.words!r}{close}")
        if len(row.draw) != 1:
            raise DataError(f"{where}: expected one sampler after draw; got {list(row.draw)}")
        ((sampler, settings),) = row.draw.items()
        try:
            drawn = built(sampler, settings, self.words)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if drawn.n_parents != len(row.parents):
            raise DataError(
                f"{where}: {sampler} takes {drawn.n_parents} parents; got {row.parents or 'none'}"
            )
        return Attribute(
            group, name, row.type, row.words or "", row.unit, tuple(row.parents), drawn,
            row.unique, row.mutable, row.ordered, row.asked,
        )  # fmt: skip

    def _sorted(self, group: str, names: list[str]) -> list[str]:
        """The attributes of a group, parents before children (Kahn, 1962)."""
        own: dict[str, set[str]] = {}
        for name in names:
            own[name] = set()
            for parent in self.attributes[group, name].parents:
                of, _, rest = parent.rpartition(".")
                if of == SELF and group != SELF and (SELF, rest) in self.attributes:
                    continue
                if not of and (group, parent) in self.attributes:
                    own[name].add(parent)
                elif of or parent not in GIVEN:
                    raise DataError(f"attribute {group}.{name}: there is no parent {parent!r}")
        done: list[str] = []
        while len(done) < len(names):
            ready = [name for name in names if name not in done and own[name] <= set(done)]
            if not ready:
                ring = ", ".join(name for name in names if name not in done)
                raise DataError(f"attributes of {group} wait for one another in a circle: {ring}")
            done += ready
        return done

    def _check_kinds(self) -> None:
        for name, kind in self.kinds.items():
            if name != SELF and kind.names not in self.words:
                raise DataError(f"kind {name}: there are no words {kind.names!r} for its names")
            if kind.group not in self.order:
                raise DataError(f"kind {name}: group {kind.group!r} has no attributes")
        if SELF not in self.order:
            raise DataError("the network has no attributes of self, the user")

    def _check_domains(self) -> None:
        for name, domain in self.domains.items():
            for kind, n in (domain.entities | domain.bystanders).items():
                if kind not in self.kinds:
                    raise DataError(f"domain {name}: there is no kind {kind!r}")
                if n > len(self.words[str(self.kinds[kind].names)]):
                    raise DataError(f"domain {name}: there are not {n} names of a {kind}")
            for group, attributes in domain.attributes.items():
                for attribute in attributes:
                    if (group, attribute) not in self.attributes:
                        raise DataError(f"domain {name}: a {group} has no attribute {attribute!r}")


def read_yaml(name: str) -> Any:
    """Returns one file of the network."""
    text = (resources.files(__package__) / "network" / name).read_text(encoding="utf-8")
    # the parser in C where it is there: it is eight times as fast
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def network() -> Network:
    """Returns the network of the package."""
    return Network(read_yaml("network.yaml"), read_yaml("words.yaml"))


COUNT = Attribute("", "count", "count")
ENTITY = Attribute("", "entity", "entity")
CODE = Attribute("", "code", "code")


def words_of(name: str) -> Attribute:
    """Returns the attribute of an answer that is one of some words."""
    return Attribute("", name, "word", name)
