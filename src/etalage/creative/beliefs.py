"""What is thought of each creative's clicks? A prior from a click model, then what was seen.

A belief says how often each creative of an item is clicked (`means`) and with what chance each
would be shown if nothing held it back (`chances`). The limits on that are `select.limited`.

Letters: K creatives, d features of a creative in a context.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.creative.chances import LEAST, best_chances
from etalage.errors import DataError

Floats = NDArray[np.float64]


class Belief(ABC):
    """What is believed of the creatives of one item, in the order in which they came."""

    kind: ClassVar[str]

    def __init__(self, pseudo_views: float) -> None:
        """Args: pseudo_views: the views that the click model's probability is worth."""
        if not (math.isfinite(pseudo_views) and pseudo_views > 0):
            raise DataError(f"pseudo_views is {pseudo_views}; a prior needs a number above 0")
        self.pseudo_views = float(pseudo_views)
        self.priors: dict[str, float] = {}
        """A click model's probability of a click on each creative."""

    @property
    def creatives(self) -> list[str]:
        """Names, oldest first."""
        return list(self.priors)

    def add(self, creative: str, click_probability: float | None, attributes: ArrayLike) -> None:
        """Takes up a creative; without a click probability it starts as what is usual here."""
        if creative in self.priors:
            raise DataError(f"creative {creative!r} is there already; remove it first")
        if click_probability is None:
            if not self.priors:
                raise DataError(
                    f"{creative!r} is the first creative, so nothing is usual yet; give its "
                    "click_probability"
                )
            click_probability = self.usual()
        if not 0 < click_probability < 1:
            raise DataError(
                f"click_probability of {creative!r} is {click_probability}; it lies between 0 and "
                "1, both left out"
            )
        self._take_up(creative, float(click_probability), attributes)
        self.priors[creative] = float(click_probability)

    def remove(self, creative: str) -> None:
        """Forgets what is known of this creative alone."""
        del self.priors[creative]

    def usual(self) -> float:
        """Probability of a click on a creative of which nothing is known."""
        return sum(self.priors.values()) / len(self.priors)

    @abstractmethod
    def _take_up(self, creative: str, probability: float, attributes: ArrayLike) -> None: ...

    @abstractmethod
    def rows(self, context: ArrayLike | None) -> Floats:
        """Features (K, d) of every creative in a context (c,)."""

    @abstractmethod
    def means(self, rows: Floats) -> Floats:
        """Expected clicks a view (K,)."""

    @abstractmethod
    def chances(self, rows: Floats, rng: np.random.Generator) -> Floats:
        """Chance (K,) of each to be shown, before any limit; sums to 1."""

    @abstractmethod
    def learn(self, creative: str, row: Floats, clicked: bool) -> None:
        """Takes in one view whose outcome is settled; `row` (d,) is what `rows` gave for it."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """Settings and numbers as JSON, and arrays by name, from which `restored` makes it anew."""

    @classmethod
    @abstractmethod
    def restored(cls, told: dict[str, Any], arrays: dict[str, Floats]) -> Belief:
        """The belief of which `state` told."""


class BetaThompson(Belief):
    """Thompson sampling (Thompson, 1933) of creatives that share nothing: a Beta each.

    The chance of each to have the largest draw is integrated, so propensities are exact.
    """

    kind = "beta_thompson"

    def __init__(self, pseudo_views: float = 20) -> None:
        super().__init__(pseudo_views)
        self.clicks: dict[str, int] = {}
        self.views: dict[str, int] = {}
        self._known: Floats | None = None

    def _take_up(self, creative: str, probability: float, attributes: ArrayLike) -> None:
        if np.size(attributes):
            raise DataError(f"{creative!r} has attributes, of which {self.kind} makes no use")
        if self.pseudo_views * min(probability, 1 - probability) < LEAST:
            raise DataError(
                f"a click probability of {probability} is worth less than {LEAST} clicks (or "
                f"misses) in {self.pseudo_views:g} pseudo_views; give more pseudo_views"
            )
        self.clicks[creative] = self.views[creative] = 0
        self._known = None

    def remove(self, creative: str) -> None:
        super().remove(creative)
        del self.clicks[creative], self.views[creative]
        self._known = None

    def counts(self) -> tuple[Floats, Floats]:
        """Clicks and misses (K,) each, the prior's among them."""
        prior = self.pseudo_views * np.array(list(self.priors.values()))
        clicks = np.array([self.clicks[name] for name in self.priors], np.float64)
        views = np.array([self.views[name] for name in self.priors], np.float64)
        return prior + clicks, self.pseudo_views - prior + views - clicks

    def usual(self) -> float:
        clicked, missed = self.counts()
        return float(clicked.sum() / (clicked.sum() + missed.sum()))

    def rows(self, context: ArrayLike | None) -> Floats:
        if context is not None:
            raise DataError(f"{self.kind} knows no contexts; use a linear belief, or give none")
        return np.zeros((len(self.priors), 0))

    def means(self, rows: Floats) -> Floats:
        clicked, missed = self.counts()
        return clicked / (clicked + missed)

    def chances(self, rows: Floats, rng: np.random.Generator) -> Floats:
        if self._known is None:  # outcomes settle by the hour, views come by the second
            self._known = best_chances(*self.counts())
        return self._known

    def learn(self, creative: str, row: Floats, clicked: bool) -> None:
        self.views[creative] += 1
        self.clicks[creative] += clicked
        self._known = None

    def state(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        creatives = [
            [name, prior, self.clicks[name], self.views[name]]
            for name, prior in self.priors.items()
        ]
        return {"pseudo_views": self.pseudo_views, "creatives": creatives}, {}

    @classmethod
    def restored(cls, told: dict[str, Any], arrays: dict[str, Floats]) -> BetaThompson:
        belief = cls(told["pseudo_views"])
        for name, prior, clicks, views in told["creatives"]:
            belief.add(name, prior, ())
            belief.clicks[name], belief.views[name] = clicks, views
        return belief


def vector(values: ArrayLike, what: str, width: int) -> Floats:
    """Returns finite values (width,) as floats.

    Raises:
        DataError: when they are of another shape, or not finite.
    """
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what} is no list of numbers; give {width} of them") from None
    if found.shape != (width,) or not np.isfinite(found).all():
        raise DataError(f"{what} has shape {found.shape}; give {width} finite numbers")
    return found


def one_hot(values: Sequence[str], known: Sequence[Sequence[str]]) -> Floats:
    """Attributes as a vector: a 1 for each value among the known ones of its place.

    >>> one_hot(["warm", "oil"], [["cold", "warm"], ["oil", "photo"]]).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    if len(values) != len(known):
        raise DataError(f"{len(values)} values for {len(known)} attributes; give one each")
    for value, choices in zip(values, known, strict=True):
        if value not in choices:
            raise DataError(f"attribute value {value!r} is none of {list(choices)}")
    places = [[float(value == c) for c in known[i]] for i, value in enumerate(values)]
    return np.array([x for place in places for x in place])
