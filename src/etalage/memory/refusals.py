"""What does somebody not want to be shown? Dislikes and allergies that were stated, as a filter.

Only what was said outright counts: a bad rating orders a list, it forbids nothing. An item is
refused where its text has all words of a thing that is disliked; words are compared, what they
mean is not known ("allergic to nuts" does not refuse marzipan).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from etalage.language.words import FILLERS, PARTS, is_run, stem
from etalage.memory.facts import Fact, beliefs

GENERIC = """
    any anything brand brands everything film films game games item items kind kinds like movie
    movies product products show shows series sort sorts stuff thing things title titles type types
    book books novel novels
"""
NO_NAMES = frozenset(GENERIC.split())
"""What a thing is called beside its own name: of "horror movies", horror is what is meant."""
NO_RUNS = re.compile(r"(?:电影|影片|片子|片|书籍|书|小说|游戏|类|的东西|东西|产品|商品)+$")
PARTED = re.compile(r"\s*(?:/|,|，|、|\bn?or\b|\band\b|或者|或|和)\s*", re.IGNORECASE)
"""Between things that are disliked each for itself."""
SURE = 1.0
"""The strength of what was said outright."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A thing that is not to be shown."""

    said: str
    """The thing, as it was last called."""
    because: str
    """dislikes, or is allergic to."""
    words: tuple[str, ...]
    """Stems and runs of Chinese characters that an item has all of."""
    memories: tuple[int, ...]
    """Numbers of the memories that say so."""


def words_meant(thing: str) -> tuple[str, ...]:
    """Returns what an item must have to be that thing; nothing where it names none.

    >>> words_meant("Horror Movies"), words_meant("the movies"), words_meant("it")
    (('horror',), ('movi',), ())
    >>> words_meant("恐怖片")
    ('恐怖',)
    """
    parts = [part for part in PARTS.findall(_plain(thing)) if part not in FILLERS]
    named = [part for part in parts if part not in NO_NAMES] or parts
    runs = {NO_RUNS.sub("", part) or part for part in named if is_run(part)}
    return tuple(sorted(runs | {_root(part) for part in named if not is_run(part)}))


def _plain(text: str) -> str:
    """A text as it is compared: small letters without accents, however they are encoded."""
    if text.isascii():
        return text.lower()
    letters = (a for a in unicodedata.normalize("NFKD", text) if unicodedata.category(a) != "Mn")
    return unicodedata.normalize("NFKC", "".join(letters)).casefold()


@lru_cache(maxsize=2**16)
def _root(word: str) -> str:
    """One form for a word in singular and plural: a stem that has no ending any more."""
    while (shorter := stem(word)) != word:
        word = shorter
    return word[:-1] + "i" if len(word) > 3 and word[-1] == "y" else word  # cookie, cookies


def refusals(facts: Iterable[Fact], at: int) -> list[Refusal]:
    """Returns what somebody of whom these facts were said does not want to see at a time (ms UTC).

    The newest statement about the same words decides, whatever they are called otherwise.

    Args:
        facts: of one user, oldest first.
        at: milliseconds UTC.
    """
    stated = [fact for fact in facts if fact.strength >= SURE and fact.subject == "user"]
    refusing = [f for f in stated if BECAUSE.get(f.predicate, ("", 0))[1] == f.polarity]
    called = {words: thing for f in refusing for thing, words in _things(f.object)}
    meant = [
        replace(fact, object=" ".join(words))
        for fact in (stated if called else [])
        if fact.predicate in BECAUSE
        for _, words in _things(fact.object)
        if words in called
    ]
    found = []
    for belief in beliefs(meant, at):
        because, polarity = BECAUSE[belief.predicate]
        if belief.polarity == polarity:
            words = tuple(belief.object.split())
            found.append(Refusal(called[words], because, words, belief.memories))
    return found


def _things(said: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each thing of a list, and the words that are meant; without those that name nothing."""
    pairs = [(thing, words_meant(thing)) for thing in PARTED.split(said)]
    return [(thing, words) for thing, words in pairs if words]


BECAUSE = {"likes": ("dislikes", -1), "allergic_to": ("is allergic to", 1)}
"""By predicate, what is said, and at which polarity it refuses."""


class Words:
    """Which of many texts have a word?

    Args:
        texts: of items, by index: title and category.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [_plain(text) for text in texts]
        rows: dict[str, list[int]] = {}
        for row, text in enumerate(self._texts):
            for word in {_root(part) for part in PARTS.findall(text) if not is_run(part)}:
                rows.setdefault(word, []).append(row)
        self._rows = {word: np.array(found, np.int32) for word, found in rows.items()}

    def refused(self, refusal: Refusal) -> NDArray[np.int32]:
        """Returns the items that are refused, rising."""
        rows: NDArray[np.int32] | None = None
        for word in refusal.words:
            found = self._having(word)
            rows = found if rows is None else np.intersect1d(rows, found, assume_unique=True)
        return np.zeros(0, np.int32) if rows is None else rows

    def _having(self, word: str) -> NDArray[np.int32]:
        if is_run(word):
            return np.array([at for at, text in enumerate(self._texts) if word in text], np.int32)
        return self._rows.get(word, np.zeros(0, np.int32))
