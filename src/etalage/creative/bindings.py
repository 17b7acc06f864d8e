"""Which words of a prompt belong together? An object, its attributes, and where each is said.

A picture goes wrong most often by giving an attribute to another object. A binding says which
is meant: by characters of the prompt, and, for a tokenizer, by positions of its tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etalage.errors import DataError


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

    Whole words are found, in capitals or not; "dark-red" is one, and does not say "red". Of words
    that are said more than once, the attribute and the object that stand nearest to each other are
    meant, the earlier first; no attribute is used twice, so pairs that are alike are found one
    after the other.

    Returns:
        One binding for each object, in the order of the prompt.

    Raises:
        DataError: for a pair that is no two texts, or that the prompt does not say.

    >>> [b.pairs for b in locate("a red mug and a red pan", [("red", "mug"), ("red", "pan")])]
    [(('red', 'mug'),), (('red', 'pan'),)]
    """
    found: dict[Phrase, list[Phrase]] = {}
    used: set[Phrase] = set()
    for pair in check_pairs(pairs):
        attributes, objects = (_said(prompt, words) for words in pair)
        ways = [
            (_gap(attribute, thing), attribute, thing)
            for attribute in attributes
            for thing in objects
            if attribute not in used and _gap(attribute, thing) >= 0
        ]
        if not ways:
            raise DataError(
                f"the prompt does not say {pair[0]!a} of {pair[1]!a}"
                f"{' once more' if attributes and objects else ''}; it is {prompt!a}. Write both "
                "as the prompt does"
            )
        _, attribute, thing = min(ways)
        used.add(attribute)
        found.setdefault(thing, []).append(attribute)
    return tuple(Binding(thing, tuple(sorted(found[thing]))) for thing in sorted(found))


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


def _said(prompt: str, words: str) -> list[Phrase]:
    form = r"\s+".join(re.escape(word) for word in words.split())
    places = re.finditer(rf"(?<![\w‐‑-]){form}(?![\w‐‑-])", prompt, re.IGNORECASE)
    return [Phrase(place.start(), place.end(), place.group()) for place in places]


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
