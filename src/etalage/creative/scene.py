"""What is to be seen? A thing for sale as it is, and around it what a group of visitors likes.

The item decides how its own thing looks; nobody's taste changes that. A segment decides the place,
the light and what else stands there. A segment is made of counts of people over words of the
vocabulary, none below `LEAST`: there is no field by which a history, a name or a text could be
passed on.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from etalage.creative.vocabulary import WORDS, Vocabulary
from etalage.errors import DataError, did_you_mean

LEAST = 20
"""People that a count must be made of, so that it tells of nobody."""
TASTES = ("place", "light", "style", "colour")
"""What a segment may like, in the order in which ties are broken."""
NOTHING: list[tuple[int, str | None]] = [(1, None)]
"""(people, word) where nothing is liked: a factor of 1, and no word."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing by its noun, with its attributes, the main one of each kind first."""

    noun: str
    attributes: tuple[str, ...] = ()

    @classmethod
    def of_item(
        cls, noun: str, facts: Mapping[str, str | Sequence[str]], words: Vocabulary = WORDS
    ) -> Thing:
        """Returns the thing that an item is, from its attributes by kind.

        Raises:
            DataError: for a noun, a kind or a value that is not of the vocabulary.

        >>> Thing.of_item("Mug", {"colour": ["Red", "blue"], "material": "ceramic"})
        Thing(noun='mug', attributes=('red', 'blue', 'ceramic'))
        """
        if not isinstance(facts, Mapping):
            raise DataError(f"attributes of an item are values by kind; got {facts!a}")
        found = []
        for kind, values in facts.items():
            several = [values] if isinstance(values, str) else values
            if not isinstance(several, Sequence):
                raise DataError(f"the {kind} of an item is a word or some; got {values!a}")
            found += [words.attribute(value, kind) for value in several]
        return cls(words.thing(noun), tuple(found))


@dataclass(frozen=True, slots=True)
class Scene:
    """Things, the first the one for sale, with where they are and how it is lit."""

    things: tuple[Thing, ...]
    place: str | None = None
    light: str | None = None


@dataclass(frozen=True)
class Segment:
    """How many of a group of visitors like what: {"colour": {"blue": 120}, "place": {...}}.

    Raises:
        DataError: for a taste or a word that is not known, a group or a count of fewer than `LEAST`
            people, or a count above that of the group.
    """

    n_people: int
    likes: Mapping[str, Mapping[str, int]]
    words: Vocabulary = field(default=WORDS, repr=False)

    def __post_init__(self) -> None:
        if type(self.n_people) is not int or self.n_people < LEAST:
            raise DataError(
                f"a segment has at least {LEAST} people, so that it tells of nobody; got "
                f"{self.n_people!a}. Join it with another"
            )
        if not isinstance(self.likes, Mapping):
            raise DataError(f"a segment's likes are counts by taste and word; got {self.likes!a}")
        for taste, counts in self.likes.items():
            if taste not in TASTES:
                raise DataError(
                    f"a segment has no taste {taste!a}{did_you_mean(str(taste), TASTES)}; choose "
                    f"{', '.join(TASTES)}"
                )
            if not isinstance(counts, Mapping):
                raise DataError(
                    f"expected how many people like each {taste}; got {counts!a}. Count people "
                    "first: what one of them did is not taken"
                )
            for word, count in counts.items():
                self._word(taste, word)
                if type(count) is not int or not LEAST <= count <= self.n_people:
                    raise DataError(
                        f"expected {LEAST} to {self.n_people} people who like the {taste} "
                        f"{word!a}; got {count!a}. Leave out what fewer people like"
                    )

    def _word(self, taste: str, word: Any) -> str:
        if taste == "place":
            return self.words.place(word)
        if taste == "light":
            return self.words.light(word)
        return self.words.attribute(word, taste)

    def best(self, taste: str) -> list[tuple[int, str | None]]:
        """Returns (people, word), the most liked first, ties by name."""
        counts: dict[str, int] = {}
        for word, count in self.likes.get(taste, {}).items():
            name = self._word(taste, word)
            # the same people may stand behind two spellings of a word, so they are not added up
            counts[name] = max(count, counts.get(name, 0))
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(count, word) for word, count in ranked] or NOTHING


def scenes_for(thing: Thing, segment: Segment, n: int = 1) -> tuple[Scene, ...]:
    """Returns at most so many scenes of a thing for a segment, the most liked first.

    What is liked is taken as if each taste went its own way: a scene is worth the product of its
    counts. A place brings one thing to stand beside, in the colour and style that are liked; it is
    never of the noun that is sold, so that the two are not mistaken for each other.

    Raises:
        DataError: for anything but a `Segment`, or for n below 1.

    >>> likes = {"place": {"kitchen": 90}, "colour": {"blue": 80}}
    >>> scenes_for(Thing("mug", ("red",)), Segment(100, likes))[0].things[1]
    Thing(noun='bowl', attributes=('blue',))
    """
    if not isinstance(segment, Segment):
        raise DataError(
            f"scenes are made for a Segment, which counts people; got {type(segment).__name__}. "
            "What one visitor did is not taken"
        )
    if n < 1:
        raise DataError(f"expected at least 1 scene; got {n}")
    words = segment.words
    sold = words.thing(thing.noun)
    # without a place nothing stands beside, which could have a style or a colour
    told = TASTES if segment.likes.get("place") else ("place", "light")
    # the n best have no word but of the n best of each taste
    ranked = [
        list(enumerate(segment.best(taste)[:n] if taste in told else NOTHING)) for taste in TASTES
    ]
    best = heapq.nsmallest(
        n,
        product(*ranked),
        key=lambda way: (-prod(count for _, (count, _) in way), [rank for rank, _ in way]),
    )
    found = []
    for way in best:
        place, light, style, colour = (word for _, (_, word) in way)
        liked = tuple(word for word in (style, colour) if word)
        things: tuple[Thing, ...] = (thing,)
        if place and liked:
            prop = next(prop for prop in words.places[place].props if words.thing(prop) != sold)
            things += (Thing(prop, liked),)
        found.append(Scene(things, place, light))
    return tuple(found)
