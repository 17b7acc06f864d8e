"""Which words of a prompt belong together? An object, its attributes, and where each is said.

A picture goes wrong most often by giving an attribute to another object. A binding says which
is meant: by characters of the prompt, and, for a tokenizer, by positions of its tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etalage.creative.vocabulary import WORDS
from etalage.errors import DataError

HYPHENATED = re.compile(r"[^\W_]+(?:[‐‑-][^\W_]+)+")
UNSPACED = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""A letter of Thai, Lao, Burmese, Khmer, Japanese or Chinese, which part no words with blanks."""
BEGINS = rf"(?:(?<!\w)|(?<={UNSPACED})|(?={UNSPACED}))"
ENDS = rf"(?:(?!\w)|(?<={UNSPACED})|(?={UNSPACED}))"
"""Where a word may begin, and where it may end."""


@dataclass(frozen=True, slots=True, order=True)
class Phrase:
    """Words of a prompt, from character `start` up to, and without, `end`.

    Raises:
        DataError: for a span that cannot say these words.
    """

    start: int
    end: int
    text: str

    def __post_init__(self) -> None:
        if not self.text or self.start < 0 or self.end - self.start != len(self.text):
            raise DataError(
                f"a phrase spans as many characters as it has, at least one; got {self.text!a} at "
                f"{self.start} to {self.end}"
            )


@dataclass(frozen=True, slots=True)
class Binding:
    """An object and the attributes that are its own, as the prompt says them."""

    object: Phrase
    attributes: tuple[Phrase, ...]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(attribute, object) in words, one for each attribute."""
        return tuple((attribute.text, self.object.text) for attribute in self.attributes)


@dataclass(frozen=True, slots=True)
class TokenBinding:
    """A binding by positions of tokens."""

    object: tuple[int, ...]
    attributes: tuple[tuple[int, ...], ...]


def check_bindings(prompt: str, bindings: Iterable[Binding]) -> None:
    """Raises DataError for a phrase that the prompt does not say at its place."""
    for binding in bindings:
        for phrase in (binding.object, *binding.attributes):
            said = prompt[phrase.start : phrase.end]
            if said != phrase.text:
                raise DataError(
                    f"the prompt says {said!a} at {phrase.start} to {phrase.end}, not "
                    f"{phrase.text!a}; find the bindings in the prompt as the model gets it"
                )


def locate(prompt: str, pairs: Sequence[tuple[str, str]]) -> tuple[Binding, ...]:
    """Finds pairs of (attribute, object) in a prompt, for instance one that a pipeline rewrote.

    Whole words are found, in capitals or not; "dark-red" is one, and does not say "red", which
    "red-and-blue" does. In scripts that part no words with blanks, any characters may be a word.
    Of words that are said more than once, the attribute and the object that stand nearest to each
    other are meant, the earlier first, and the nearest of all pairs before the others; no attribute
    is used twice, so pairs that are alike are found one after the other.

    Returns:
        One binding for each object, in the order of the prompt.

    Raises:
        DataError: for a pair that is no two texts, or that the prompt does not say.

    >>> [b.pairs for b in locate("a red mug and a red pan", [("red", "mug"), ("red", "pan")])]
    [(('red', 'mug'),), (('red', 'pan'),)]
    """
    inner = _within_hyphens(prompt)
    said = [tuple(_said(prompt, words, inner) for words in pair) for pair in check_pairs(pairs)]
    ways = [
        (_gap(attribute, thing), attribute, thing, number)
        for number, (attributes, objects) in enumerate(said)
        for attribute in attributes
        for thing in objects
        if _gap(attribute, thing) >= 0
    ]
    found: dict[Phrase, list[Phrase]] = {}
    left, used = set(range(len(said))), set[Phrase]()
    for _, attribute, thing, number in sorted(ways):
        if number in left and attribute not in used:
            left.remove(number)
            used.add(attribute)
            found.setdefault(thing, []).append(attribute)
    for number in sorted(left):
        raise DataError(
            f"the prompt does not say {pairs[number][0]!a} of {pairs[number][1]!a}"
            f"{' once more' if all(said[number]) else ''}; it is {prompt!a}. Write both as the "
            "prompt does"
        )
    return tuple(Binding(thing, tuple(sorted(found[thing]))) for thing in sorted(found))


def check_prompt(prompt: str) -> None:
    """Raises DataError for a prompt that is no text with a word in it."""
    if not isinstance(prompt, str) or not prompt.strip():
        raise DataError(f"a prompt is a text with a word in it; got {prompt!a}")


def check_pairs(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Returns pairs of (attribute, object); DataError for one that is no two texts."""
    for pair in pairs:
        if (
            isinstance(pair, str)
            or not isinstance(pair, Sequence)
            or len(pair) != 2
            or not all(isinstance(words, str) and words.strip() for words in pair)
        ):
            raise DataError(f"a binding is a pair of texts (attribute, object); got {pair!a}")
    return pairs


def _said(prompt: str, words: str, inner: set[tuple[int, str]]) -> list[Phrase]:
    form = r"\s+".join(re.escape(word) for word in words.split())
    places = re.finditer(f"{BEGINS}{form}{ENDS}", prompt, re.IGNORECASE)
    return [
        Phrase(place.start(), place.end(), place.group())
        for place in places
        if not inner & {(place.start(), "begins"), (place.end(), "ends")}
    ]


def _within_hyphens(prompt: str) -> set[tuple[int, str]]:
    """Returns where no word begins or ends: within "dark-red", but not in a list of attributes."""
    found = set()
    for word in HYPHENATED.finditer(prompt):
        start, length = word.start(), len(word.group())
        listed = WORDS.listed(word.group())
        begins, ends = {first for first, _ in listed}, {last for _, last in listed}
        found |= {(start + at, "begins") for at in range(1, length) if at not in begins}
        found |= {(start + at, "ends") for at in range(1, length) if at not in ends}
    return found


def _gap(one: Phrase, other: Phrase) -> int:
    """Characters between two phrases; below 0 where they overlap."""
    return max(one.start, other.start) - min(one.end, other.end)


def token_bindings(
    prompt: str, offsets: Sequence[tuple[int, int]], bindings: Iterable[Binding]
) -> tuple[TokenBinding, ...]:
    """Returns the positions of the tokens that say each phrase.

    Args:
        prompt: the text that was given to the tokenizer.
        offsets: first and one past the last character of each token; tokens without characters,
            as (0, 0), are marks of the tokenizer and say nothing.
        bindings: what belongs together in that very text.

    Raises:
        DataError: where the prompt does not say a phrase, the tokens end before it does, no token
            says it, or one token says an attribute and its object.

    >>> red, mug = Phrase(2, 5, "red"), Phrase(6, 9, "mug")
    >>> token_bindings("a red mug", [(0, 1), (2, 5), (6, 9), (0, 0)], [Binding(mug, (red,))])
    (TokenBinding(object=(2,), attributes=((1,),)),)
    """
    bindings = tuple(bindings)
    check_bindings(prompt, bindings)
    for offset in offsets:
        if len(offset) != 2 or not 0 <= offset[0] <= offset[1] <= len(prompt):
            raise DataError(
                f"expected offsets (start, end) within a prompt of {len(prompt)} characters; got "
                f"{tuple(offset)}. Tokenize this very text"
            )
    found = []
    for binding in bindings:
        thing = _tokens(offsets, binding.object)
        attributes = tuple(_tokens(offsets, attribute) for attribute in binding.attributes)
        shared = set(thing) & {position for attribute in attributes for position in attribute}
        if shared:
            raise DataError(
                f"token {min(shared)} says {binding.object.text!a} and an attribute of it at once; "
                "the two cannot be told apart with this tokenizer"
            )
        found.append(TokenBinding(thing, attributes))
    return tuple(found)


def _tokens(offsets: Sequence[tuple[int, int]], phrase: Phrase) -> tuple[int, ...]:
    reached = max((end for start, end in offsets if end > start), default=0)
    if reached < phrase.end:
        raise DataError(
            f"the tokens end at character {reached}, before {phrase.text!a} at {phrase.start} to "
            f"{phrase.end}: the prompt was cut; shorten it, or let the tokenizer keep more"
        )
    positions = tuple(
        position
        for position, (start, end) in enumerate(offsets)
        if end > start and start < phrase.end and end > phrase.start
    )
    if not positions:
        raise DataError(f"no token says {phrase.text!a}; say it with words that the tokenizer has")
    return positions
