"""Does a picture show what it was asked for? Each pair gets a score; all of them must do.

A judge looks at the picture alone and never at the model that made it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from etalage.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Pair = tuple[str, str]
"""(attribute, object)."""
HALF = 0.5
"""A pair is accepted where it is at least as likely as not."""


@dataclass(frozen=True)
class Verdict:
    """What a judge says of a picture: a score from 0 to 1 for each (attribute, object).

    Raises:
        DataError: for no pair at all, or a score or threshold that is not from 0 to 1.

    >>> verdict = Verdict({("red", "mug"): 0.9, ("blue", "bowl"): 0.2})
    >>> verdict.accepted, verdict.worst
    (False, ('blue', 'bowl'))
    """

    scores: Mapping[Pair, float]
    threshold: float = HALF

    def __post_init__(self) -> None:
        if not self.scores:
            raise DataError("a verdict is on at least one pair (attribute, object); got none")
        for name, number in (*self.scores.items(), ("the threshold", self.threshold)):
            if not math.isfinite(number) or not 0 <= number <= 1:
                raise DataError(f"expected a number from 0 to 1 for {name}; got {number}")

    @property
    def accepted(self) -> bool:
        """Whether every pair has at least the threshold."""
        return self.least >= self.threshold

    @property
    def worst(self) -> Pair:
        """The pair with the least score; of equal ones the first."""
        return min(self.scores, key=lambda pair: self.scores[pair])

    @property
    def least(self) -> float:
        """The score of the worst pair, by which pictures are compared."""
        return self.scores[self.worst]

    def told(self) -> dict[str, Any]:
        """The verdict as JSON has it."""
        scores = [[*pair, float(score)] for pair, score in self.scores.items()]
        return {"scores": scores, "threshold": float(self.threshold)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Verdict:
        """The verdict that `told` wrote.

        >>> Verdict.of(Verdict({("red", "mug"): 0.9}).told()).scores
        {('red', 'mug'): 0.9}
        """
        scores = {(attribute, thing): score for attribute, thing, score in told["scores"]}
        return cls(scores, told["threshold"])


class Judge(Protocol):
    """Looks at pictures."""

    @property
    def fingerprint(self) -> str:
        """Says all that a verdict depends on, besides the picture and the pairs."""
        ...

    def check(self, image: Image, pairs: Sequence[Pair]) -> Verdict:
        """Scores every pair; DataError where there is none, or one that it cannot judge."""
        ...
