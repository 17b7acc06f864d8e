"""What do words alone find? BM25 in its plainest form, the floor under every memory.

Robertson and Zaragoza (2009), k1 1.2, b .75, each part of a question counted once. It shares no
code with the store that it is compared with. Letters: N messages of a user.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from math import log

K1, B = 1.2, 0.75
WORD = re.compile(r"\w+")
SPACE = re.compile(r"\s+")


def words(text: str) -> list[str]:
    """Returns the words of a text as they stand there, in small letters.

    >>> words("Where's my mug?")
    ['where', 's', 'my', 'mug']
    """
    return WORD.findall(text.lower())


def characters(text: str) -> list[str]:
    """Returns the characters of a text and all pairs of neighbours, spaces left out.

    >>> characters("A 杯子")
    ['a', '杯', '子', 'a杯', '杯子']
    """
    text = SPACE.sub("", text.lower())
    return [*text, *(text[at : at + 2] for at in range(len(text) - 1))]


class BM25:
    """The messages of one user."""

    def __init__(self, parts: Callable[[str], list[str]]) -> None:
        self._parts = parts
        self._ids: list[str | None] = []
        self._lengths: list[int] = []
        self._places: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def add(self, message: str, text: str) -> None:
        """Adds a message by its id."""
        parts = self._parts(text)
        for part, count in Counter(parts).items():
            self._places[part].append((len(self._ids), count))
        self._ids.append(message)
        self._lengths.append(len(parts))

    def remove(self, messages: set[str]) -> None:
        """Takes messages out, as if they had never been there."""
        gone = {at for at, name in enumerate(self._ids) if name in messages}
        for at in gone:
            self._ids[at], self._lengths[at] = None, 0
        for part, rows in list(self._places.items()):
            self._places[part] = [row for row in rows if row[0] not in gone]

    def best(self, question: str, k: int) -> list[str]:
        """Returns the ids of at most k messages that share something with the question, best first;
        ties: the older first."""
        n = sum(name is not None for name in self._ids)
        mean = sum(self._lengths) / n if n else 0.0
        scores: dict[int, float] = defaultdict(float)
        for part in dict.fromkeys(self._parts(question)):
            rows = self._places.get(part, ())
            rarity = log(1 + (n - len(rows) + 0.5) / (len(rows) + 0.5))
            for at, count in rows:
                length = 1 - B + B * self._lengths[at] / mean
                scores[at] += rarity * (K1 + 1) * count / (count + K1 * length)
        order = sorted(scores, key=lambda at: (-scores[at], at))
        found: Sequence[str | None] = [self._ids[at] for at in order[:k]]
        return [name for name in found if name is not None]
