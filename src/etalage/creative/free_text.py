"""What belongs together in a prompt that somebody wrote? Rules for English, and no guesses.

The rules read attributes of the vocabulary before a thing ("a red and blue striped mug") and after
it ("a mug that is red", "a vase made of glass"). A thing is one of the vocabulary, or, after an
article and attributes alone, the one word that follows ("a blue gizmo"). Where the rules are not
sure they bind nothing: a wrong binding paints the wrong thing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from etalage.creative.bindings import Binding, Phrase, check_prompt
from etalage.creative.vocabulary import (
    ARTICLES,
    IS,
    LONGEST,
    NEGATIVES,
    STOPS,
    WORDS,
    Vocabulary,
    key_of,
)
from etalage.errors import DataError

TOKEN = re.compile(r"[^\W_]+(?:['’‐‑-][^\W_]+)*|[^\s]")
RELATIVES = frozenset({"that", "which", "who"})
JOINERS = frozenset({"and", "&", ","})


@dataclass(frozen=True, slots=True)
class Atom:
    """A word, a mark, or an attribute of some words."""

    key: str
    start: int
    end: int
    is_attribute: bool = False
    is_word: bool = True


def find_bindings(prompt: str, words: Vocabulary = WORDS) -> tuple[Binding, ...]:
    """Finds the things of an English prompt that have attributes, in the order of the prompt.

    Raises:
        DataError: for a prompt that is no text with a word, or that has no Latin letter: give its
            bindings by `locate` instead.

    >>> found = find_bindings("A red mug beside a teapot that is dark-green")
    >>> [pair for binding in found for pair in binding.pairs]
    [('red', 'mug'), ('dark-green', 'teapot')]
    """
    check_prompt(prompt)
    letters = {letter for letter in prompt if letter.isalpha()}
    if letters and not any("LATIN" in unicodedata.name(letter, "") for letter in letters):
        raise DataError(
            f"the rules read English, and {prompt[:40]!a} has no Latin letter; give its bindings "
            "as pairs (attribute, object) to locate(...)"
        )
    return _Reader(prompt, words).bindings()


class _Reader:
    def __init__(self, prompt: str, words: Vocabulary) -> None:
        self.prompt = prompt
        self.words = words
        self.atoms = _atoms(prompt, words)

    def bindings(self) -> tuple[Binding, ...]:
        found = []
        here, after_article, is_negative = 0, False, False
        while here < len(self.atoms):
            atom = self.atoms[here]
            if atom.is_word and not self._is_bound(here):
                group, after = self._group(here)
                read = None if is_negative else self._read(group, after_article)
                here, after_article, is_negative = after, False, False
                if read is not None:
                    thing, attributes = read
                    more, here = self._said_after(here)
                    if attributes or more:
                        said = tuple(self._phrase(a, a) for a in (*attributes, *more))
                        found.append(Binding(self._phrase(thing[0], thing[-1]), said))
                continue
            after_article = atom.key in ARTICLES
            is_negative = atom.key in NEGATIVES or (is_negative and after_article)
            here += 1
        return tuple(found)

    def _is_bound(self, at: int) -> bool:
        """Whether the atom, or the end of the prompt, ends what is said of a thing."""
        if at >= len(self.atoms):
            return True
        atom = self.atoms[at]
        bounds = atom.key in STOPS or atom.key in ARTICLES or atom.key in NEGATIVES
        return not atom.is_word or (bounds and not atom.is_attribute)

    def _is_attribute(self, at: int) -> bool:
        return at < len(self.atoms) and self.atoms[at].is_attribute

    def _joined(self, at: int) -> int:
        """Returns the place of an attribute that `and`, `&` or commas join on, else -1."""
        after = at
        while after < len(self.atoms) and after - at < 2 and self.atoms[after].key in JOINERS:
            after += 1
        return after if after > at and self._is_attribute(after) else -1

    def _group(self, at: int) -> tuple[list[Atom], int]:
        """Returns the atoms up to the next bound, and its place."""
        group: list[Atom] = []
        while True:
            if not self._is_bound(at):
                group.append(self.atoms[at])
                at += 1
                continue
            # "a glass and a ..." ends at "and", since a glass is a thing as well
            is_list = group[-1].is_attribute and group[-1].key not in self.words.thing_keys
            joined = self._joined(at) if is_list else -1
            if joined < 0:
                return group, at
            at = joined

    def _read(self, group: list[Atom], after_article: bool) -> tuple[list[Atom], list[Atom]] | None:
        """Returns the atoms of the thing and its attributes, or None where there is no thing."""
        for size in range(min(LONGEST, len(group)), 0, -1):
            thing = group[-size:]
            if self._is_thing(" ".join(atom.key for atom in thing)):
                return thing, [atom for atom in group[:-size] if atom.is_attribute]
        *before, last = group
        is_new = before and after_article and last.key[0].isalpha() and not last.is_attribute
        return ([last], before) if is_new and all(a.is_attribute for a in before) else None

    def _is_thing(self, key: str) -> bool:
        singulars = [key, key.removesuffix("s"), key.removesuffix("es")]
        singulars += [key.removesuffix("ves") + "f", key.removesuffix("ies") + "y"]
        return any(singular in self.words.thing_keys for singular in singulars)

    def _said_after(self, at: int) -> tuple[list[Atom], int]:
        """Returns the attributes that follow a thing, and the place after them."""
        found: list[Atom] = []
        while True:
            start = at
            if found and start < len(self.atoms) and self.atoms[start].key == "and":
                start += 1
            form = self._form(start)
            listed, after = self._list(form) if form > start else ([], start)
            if not listed:
                return found, at
            found += listed
            at = after

    def _form(self, at: int) -> int:
        """Returns the place after "that is", "is", "made of" or "in"; `at` for other words."""
        keys = [atom.key for atom in self.atoms[at : at + 4]]
        skipped = 1 if keys and keys[0] in RELATIVES else 0
        if keys[skipped : skipped + 1] and keys[skipped] in IS:
            has_made = keys[skipped + 1 : skipped + 3] in (["made", "of"], ["made", "from"])
            return at + skipped + (3 if has_made else 1)
        if keys[:2] in (["made", "of"], ["made", "from"]):
            return at + 2
        # "a candle in glass" stands in a thing, and is not made of it
        is_in = keys[:1] == ["in"] and keys[1:2] and keys[1] not in self.words.thing_keys
        return at + 1 if is_in else at

    def _list(self, at: int) -> tuple[list[Atom], int]:
        """Returns the attributes of a list that nothing goes on from, and the place after it."""
        listed: list[Atom] = []
        ended, after = 0, at
        while self._is_attribute(at):
            while self._is_attribute(at):
                listed.append(self.atoms[at])
                at += 1
            # "that is red and blue teapots": blue begins another thing
            if self._is_bound(at):
                ended, after = len(listed), at
            at = max(at, self._joined(at))
        return listed[:ended], after

    def _phrase(self, first: Atom, last: Atom) -> Phrase:
        return Phrase(first.start, last.end, self.prompt[first.start : last.end])


def _atoms(prompt: str, words: Vocabulary) -> list[Atom]:
    tokens = [
        Atom(key_of(m.group()) or m.group(), m.start(), m.end(), is_word=m.group()[0].isalnum())
        for m in TOKEN.finditer(prompt)
    ]
    found: list[Atom] = []
    at = 0
    while at < len(tokens):
        size = _length(tokens, at, words)
        if size:
            last = tokens[at + size - 1]
            key = " ".join(token.key for token in tokens[at : at + size])
            found.append(Atom(key, tokens[at].start, last.end, is_attribute=True))
            at += size
        else:
            found += _parted(tokens[at], prompt, words)
            at += 1
    return found


def _length(tokens: list[Atom], at: int, words: Vocabulary) -> int:
    """Returns the number of tokens that the attribute which begins here has, or 0."""
    for size in range(min(LONGEST, len(tokens) - at), 0, -1):
        if " ".join(token.key for token in tokens[at : at + size]) in words.read_as:
            return size
    return 0


def _parted(token: Atom, prompt: str, words: Vocabulary) -> list[Atom]:
    """Returns the parts of "red-and-blue" or "red-striped"; the token if it is no such list."""
    text = prompt[token.start : token.end]
    parts = [
        Atom(key_of(text[start:end]), token.start + start, token.start + end, is_attribute=True)
        for start, end in words.listed(text)
    ]
    return parts or [token]
