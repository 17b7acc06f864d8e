"""Which words may a picture be asked for with? A closed list, so that a prompt holds no surprise.

Nothing that a stranger wrote and nothing that one visitor did reaches a prompt: what is not a
word of the vocabulary is refused. The rules of a vocabulary make each prompt readable one way only:
what is composed is found again by the rules that read free text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from etalage.errors import DataError

SHADES = ("dark", "light", "pale", "bright", "deep")
PLAIN_COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey",
)  # fmt: skip
ATTRIBUTES = {
    "size": ("small", "large", "tiny", "tall", "slim", "wide"),
    "style": (
        "modern", "vintage", "rustic", "minimalist", "elegant", "classic", "industrial", "bohemian",
        "nordic", "baroque",
    ),
    "shape": (
        "round", "square", "oval", "rectangular", "triangular", "hexagonal", "octagonal", "conical",
        "cylindrical", "spherical", "heart-shaped", "star-shaped",
    ),
    "colour": (
        *PLAIN_COLOURS, "turquoise", "teal", "navy", "beige", "cream", "ivory", "olive", "maroon",
        "lilac", "violet", "coral", "mustard", "gold", "silver", "transparent", "sky blue",
        *(f"{shade} {colour}" for shade in SHADES for colour in PLAIN_COLOURS),
    ),
    "pattern": (
        "striped", "checked", "dotted", "floral", "tartan", "paisley", "quilted", "ribbed",
        "speckled", "marbled",
    ),
    "material": (
        "ceramic", "wooden", "glass", "metal", "leather", "cotton", "linen", "woollen", "silk",
        "denim", "velvet", "plastic", "paper", "stone", "marble", "wicker", "bamboo", "rubber",
        "stainless steel", "porcelain", "copper", "felt",
    ),
}  # fmt: skip
"""Values by kind. Kinds stand in the order in which English puts adjectives before a noun."""

SAME = {
    "gray": "grey", "golden": "gold", "silvery": "silver", "clear": "transparent", "big": "large",
    "circular": "round", "checkered": "checked", "chequered": "checked", "plaid": "tartan",
    "flowered": "floral", "polka-dot": "dotted", "stripy": "striped", "wood": "wooden",
    "wool": "woollen", "woolen": "woollen", "metallic": "metal", "scandinavian": "nordic",
    "steel": "stainless steel", "little": "small", "retro": "vintage", "navy blue": "navy",
} | {f"{shade} gray": f"{shade} grey" for shade in SHADES}  # fmt: skip
"""Other words for the same thing: read, never written."""

THINGS = (
    "mug", "cup", "teapot", "kettle", "bowl", "plate", "bottle", "jar", "vase", "glass", "pan",
    "wine glass", "coffee table", "table", "chair", "armchair", "sofa", "bench", "stool", "shelf",
    "lamp", "candle", "mirror", "clock", "picture frame", "rug", "cushion", "curtain", "blanket",
    "pillow", "basket", "box", "shirt", "t-shirt", "jacket", "coat", "dress", "skirt", "jeans",
    "trousers", "jumper", "scarf", "hat", "cap", "glove", "shoe", "boot", "trainer", "sandal",
    "handbag", "bag", "backpack", "suitcase", "wallet", "belt", "watch", "ring", "necklace",
    "umbrella", "book", "notebook", "pen", "guitar", "ball", "balloon", "bicycle", "tent", "toy",
    "teddy bear", "phone", "headphones", "laptop", "camera", "plant", "flowerpot", "towel", "tray",
)  # fmt: skip
"""Nouns of the things that are shown."""


@dataclass(frozen=True)
class Place:
    """Where things are shown: the words that say it, and what else may stand there."""

    words: str
    props: tuple[str, str]
    """Two things, so that one of them is not what is sold."""


PLACES = {
    "studio": Place("in a studio", ("stool", "box")),
    "kitchen": Place("in a kitchen", ("bowl", "jar")),
    "living room": Place("in a living room", ("cushion", "lamp")),
    "bedroom": Place("in a bedroom", ("blanket", "lamp")),
    "bathroom": Place("in a bathroom", ("towel", "basket")),
    "office": Place("in an office", ("notebook", "lamp")),
    "garden": Place("in a garden", ("flowerpot", "bench")),
    "street": Place("on a street", ("bench", "bicycle")),
    "beach": Place("on a beach", ("towel", "bag")),
    "forest": Place("in a forest", ("tent", "backpack")),
    "mountains": Place("in the mountains", ("backpack", "tent")),
}
LIGHTS = ("daylight", "soft light", "morning light", "evening light", "candlelight", "studio light")

ARTICLES = frozenset(
    {
        "a", "an", "the", "this", "these", "those", "my", "your", "his", "her", "its", "our",
        "their", "one", "two", "three", "four", "some", "any", "another", "each", "every",
    }
)  # fmt: skip
NEGATIVES = frozenset({"no", "not", "without", "never", "nor", "neither", "isn't", "aren't"})
IS = frozenset({"is", "are", "was", "were", "looks", "look"})
STOPS = IS | frozenset(
    {
        "and", "or", "but", "with", "in", "on", "at", "by", "of", "for", "from", "to", "into",
        "onto", "over", "under", "above", "below", "beside", "besides", "near", "behind",
        "between", "among", "against", "around", "through", "along", "across", "next", "that",
        "which", "who", "while", "where", "as", "like", "made", "has", "have", "stands",
        "standing", "sits", "sitting", "lies", "lying", "hangs", "hanging", "leans",
        "leaning", "rests", "resting", "floats", "floating", "holds", "holding", "wears",
        "wearing",
    }
)  # fmt: skip
"""Words that end what is said of a thing."""
FORM = re.compile(r"[a-z]+(?:[ -][a-z]+)*")
PIECE = re.compile(r"[^‐‑-]+")


LONGEST = 3
"""Words of the longest attribute or thing."""


def key_of(words: str) -> str:
    """Returns words as they are compared: "Dark-Green" and "dark  green" are one."""
    return " ".join(re.sub(r"[-‐‑]", " ", words).replace("’", "'").casefold().split())


@dataclass(frozen=True)
class Vocabulary:
    """Attributes by kind, things, places and lights that a prompt may name.

    Raises:
        DataError: for a word that is written otherwise than in small letters a to z, that stands
            twice, or by which a prompt could be read in two ways.
    """

    attributes: Mapping[str, tuple[str, ...]]
    things: tuple[str, ...]
    places: Mapping[str, Place]
    lights: tuple[str, ...]

    def __post_init__(self) -> None:
        said = [word for words in self.attributes.values() for word in words]
        where = [place.words for place in self.places.values()]
        for word in (*said, *self.things, *self.places, *where, *self.lights):
            if not isinstance(word, str) or not FORM.fullmatch(word):
                raise DataError(
                    f"{word!a} cannot be a word of the vocabulary; write it with small letters "
                    "a to z, and single blanks or hyphens between"
                )
        for words in (said, self.things):
            keys = [key_of(word) for word in words]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            if twice:
                raise DataError(f"the vocabulary holds {twice[0]!r} twice; leave one of them out")
        self._check_that_it_reads_one_way(said, where)

    def _check_that_it_reads_one_way(self, said: list[str], where: list[str]) -> None:
        alone = {key_of(word) for word in said} | {key_of(word) for word in SAME}
        within = {part for key in alone for part in key.split()}
        for word in (*said, *self.things):
            first, *rest = key_of(word).split()
            bound = {first, *rest} & (STOPS | ARTICLES | NEGATIVES)
            if bound:
                raise DataError(f"{word!r} has {min(bound)!r} in it, which joins things; drop it")
            if rest and first in (within if word in self.things else alone):
                raise DataError(f"{word!r} begins with the attribute {first!r}; name it otherwise")
        for words in (*where, *self.lights):
            if alone & set(key_of(words).split()):
                raise DataError(f"{words!r} holds an attribute, which only things have; drop it")
        for place in self.places.values():
            for prop in place.props:
                self.thing(prop)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Kind of each attribute, by the attribute as it is written."""
        return {word: kind for kind, words in self.attributes.items() for word in words}

    @cached_property
    def read_as(self) -> dict[str, str]:
        """The attribute that a key means."""
        known = {key_of(word): word for word in self.kinds}
        same = {key_of(word): means for word, means in SAME.items() if means in self.kinds}
        return same | known

    @cached_property
    def thing_keys(self) -> dict[str, str]:
        """The thing that a key means."""
        return {key_of(word): word for word in self.things}

    def listed(self, word: str) -> list[tuple[int, int]]:
        """Returns from where to where the attributes of a list with hyphens stand in it.

        Empty for any other word, such as "dark-red", which is one attribute.

        >>> WORDS.listed("dark-red-and-blue"), WORDS.listed("dark-red"), WORDS.listed("red-hot")
        ([(0, 8), (13, 17)], [], [])
        """
        pieces = [piece.span() for piece in PIECE.finditer(word)]
        found: list[tuple[int, int]] = []
        at = 0
        while at < len(pieces):
            start = pieces[at][0]
            reach = range(at, min(at + LONGEST, len(pieces)))
            ends = [n for n in reach if key_of(word[start : pieces[n][1]]) in self.read_as]
            is_and = found and at + 1 < len(pieces) and word[slice(*pieces[at])].casefold() == "and"
            if ends:
                at = ends[-1]
                found.append((start, pieces[at][1]))
            elif not is_and:
                return []
            at += 1
        return found if len(found) > 1 else []

    def attribute(self, word: str, kind: str | None = None) -> str:
        """Returns an attribute as it is written.

        Raises:
            DataError: for one that is not known, or not of that kind.
        """
        if kind is not None and kind not in self.attributes:
            raise DataError(_unknown("kind of attribute", kind, self.attributes))
        known = self.kinds if kind is None else self.attributes[kind]
        found = self.read_as.get(key_of(word)) if isinstance(word, str) else None
        if found is None:
            raise DataError(_unknown(kind or "attribute", word, known))
        if kind is not None and self.kinds[found] != kind:
            raise DataError(
                f"{word!a} is not a {kind} but a {self.kinds[found]}; give it as that, or choose "
                f"{', '.join(known)}"
            )
        return found

    def thing(self, word: str) -> str:
        """Returns a thing as it is written; DataError for one that is not known."""
        found = self.thing_keys.get(key_of(word)) if isinstance(word, str) else None
        if found is None:
            what = _unknown("thing", word, self.things)
            raise DataError(f"{what}; add what the shop sells by with_things(...)")
        return found

    def place(self, word: str) -> str:
        """Returns a place as it is named; DataError for one that is not known."""
        return _found("place", word, self.places)

    def light(self, word: str) -> str:
        """Returns a light as it is written; DataError for one that is not known."""
        return _found("light", word, self.lights)

    def with_things(self, *words: str) -> Vocabulary:
        """Returns the vocabulary with more things in it.

        >>> WORDS.with_things("tea towel").thing("Tea towel")
        'tea towel'
        """
        return replace(self, things=(*self.things, *words))


def _found(what: str, given: object, known: Iterable[str]) -> str:
    by_key = {key_of(name): name for name in known}
    found = by_key.get(key_of(given)) if isinstance(given, str) else None
    if found is None:
        raise DataError(_unknown(what, given, by_key.values()))
    return found


def _unknown(what: str, given: object, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(str(given).casefold(), names, n=3)
    nearest = f"the nearest are {', '.join(close)}" if close else f"choose {', '.join(names[:12])}"
    more = "" if close or len(names) <= 12 else f" or another of {len(names)}"
    return f"the vocabulary has no {what} {given!a}; {nearest}{more}"


WORDS = Vocabulary(ATTRIBUTES, THINGS, PLACES, LIGHTS)
"""The words that come with Etalage."""
