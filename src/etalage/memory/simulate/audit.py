"""Do the options give the answer away? Rules that read options alone, or the question with them.

A rule that finds the right option more often than chance, without a memory, is a leak. Ties of a
rule are shared evenly, so that what it gets is an expectation and no draw.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from etalage.memory.trajectory import Question

NUMBER = re.compile(r"\d+")
Score = Callable[[Question, Counter[str]], list[float]]


@dataclass(frozen=True)
class Guess:
    """What a rule gets on one kind of questions."""

    kind: str
    rule: str
    n: int
    found: float
    """Share of right answers."""
    chance: float
    """Share that a draw among the options gets."""

    @property
    def leak(self) -> float:
        """How far the rule is above chance."""
        return self.found - self.chance


def audit(questions: Iterable[Question]) -> list[Guess]:
    """Returns what each rule gets on each kind of questions that have options."""
    asked = [question for question in questions if question.options]
    by_kind: dict[str, list[Question]] = {}
    for question in asked:
        by_kind.setdefault(question.kind, []).append(question)
    guesses = []
    for kind, rows in sorted(by_kind.items()):
        often = Counter(option for question in rows for option in question.options)
        chance = sum(1 / len(question.options) for question in rows) / len(rows)
        for rule, score in RULES.items():
            found = sum(_share(question, score(question, often)) for question in rows) / len(rows)
            guesses.append(Guess(kind, rule, len(rows), found, chance))
    return guesses


def _share(question: Question, scores: list[float]) -> float:
    """1 over the number of best options, if the answer is among them."""
    best = max(scores)
    chosen = [o for o, score in zip(question.options, scores, strict=True) if score == best]
    return (question.answer in chosen) / len(chosen)


def _bigrams(text: str) -> Counter[str]:
    padded = f" {text} "
    return Counter(padded[at : at + 2] for at in range(len(padded) - 1))


def _likeness(a: str, b: str) -> float:
    """Bigrams that two texts share, of all they have (Dice, 1945)."""
    one, other = _bigrams(a), _bigrams(b)
    return 2 * (one & other).total() / (one.total() + other.total())


def _medoid(question: Question, often: Counter[str]) -> list[float]:
    options = question.options
    return [round(sum(_likeness(a, b) for b in options if b != a), 9) for a in options]


def _longest(question: Question, often: Counter[str]) -> list[float]:
    return [float(len(option)) for option in question.options]


def _shortest(question: Question, often: Counter[str]) -> list[float]:
    return [-float(len(option)) for option in question.options]


def _most_frequent(question: Question, often: Counter[str]) -> list[float]:
    return [float(often[option]) for option in question.options]


def _rarest(question: Question, often: Counter[str]) -> list[float]:
    return [-float(often[option]) for option in question.options]


def _numeric_median(question: Question, often: Counter[str]) -> list[float]:
    """Nearest to the median of the first numbers; all alike where one has none."""
    found = [NUMBER.search(option) for option in question.options]
    numbers = [float(match[0]) for match in found if match]
    if len(numbers) < len(found):
        return [0.0] * len(found)
    middle = median(numbers)
    return [-abs(number - middle) for number in numbers]


def _overlap(question: Question, often: Counter[str]) -> list[float]:
    asked = _bigrams(question.text)
    return [
        round((_bigrams(option) & asked).total() / _bigrams(option).total(), 9)
        for option in question.options
    ]


RULES: dict[str, Score] = {
    "medoid": _medoid, "longest": _longest, "shortest": _shortest,
    "most frequent": _most_frequent, "rarest": _rarest,
    "numeric median": _numeric_median, "overlap": _overlap,
}  # fmt: skip
"""Rules that need no memory."""
