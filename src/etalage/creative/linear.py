"""What do creatives have in common? One linear model of clicks over their attributes.

A click is expected with the click model's probability plus x·θ, where x holds the creative's
attributes, each alone and times each number of the context. Before any view θ is 0 with the
certainty of `pseudo_views` views of every feature; so a new creative with known attributes starts
from what others with those attributes have shown, and its own click model's probability.

Letters: K creatives, d features, M draws; A the gram matrix, b the moments.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from etalage.creative.beliefs import Belief, Floats, vector
from etalage.errors import DataError


class Linear(Belief):
    """Ridge regression of what the click model did not foresee."""

    def __init__(self, n_attributes: int, n_context: int = 0, pseudo_views: float = 20) -> None:
        """Args:
        n_attributes: numbers that describe a creative.
        n_context: numbers that describe who looks, and where; 0 for none.
        pseudo_views: views of each feature that the click model's probability is worth.
        """
        super().__init__(pseudo_views)
        if n_attributes < 1 or n_context < 0:
            raise DataError(
                f"n_attributes is {n_attributes} and n_context {n_context}; give at least 1 and 0"
            )
        self.n_attributes, self.n_context = n_attributes, n_context
        d = n_attributes * (1 + n_context)
        self.gram = self.pseudo_views * np.eye(d)  # A, (d, d)
        self.moments = np.zeros(d)  # b, (d,)
        self.attributes: dict[str, Floats] = {}
        self._solved: tuple[Floats, Floats] | None = None

    def _take_up(self, creative: str, probability: float, attributes: ArrayLike) -> None:
        self.attributes[creative] = vector(
            attributes, f"attributes of {creative!r}", self.n_attributes
        )

    def remove(self, creative: str) -> None:
        """Forgets the creative; what it taught of its attributes stays."""
        super().remove(creative)
        del self.attributes[creative]

    def rows(self, context: ArrayLike | None) -> Floats:
        given = vector(() if context is None else context, "context", self.n_context)
        own = np.array([self.attributes[name] for name in self.priors])  # (K, n_attributes)
        times = np.append(1.0, given)
        return (own[:, :, None] * times).reshape(len(own), -1)

    def means(self, rows: Floats) -> Floats:
        theta, _ = self._solution()
        return np.array(list(self.priors.values())) + rows @ theta

    def learn(self, creative: str, row: Floats, clicked: bool) -> None:
        self.gram += np.outer(row, row)
        self.moments += (float(clicked) - self.priors[creative]) * row
        self._solved = None

    def noise(self) -> float:
        """Standard deviation of a click, at the mean of the click model's probabilities."""
        usual = self.usual()
        return math.sqrt(usual * (1 - usual))

    def _solution(self) -> tuple[Floats, Floats]:
        """θ (d,) and L⁻¹ (d, d), where A = L Lᵀ: x has the spread |L⁻¹ x| times the noise."""
        if self._solved is None:
            root = np.linalg.inv(np.linalg.cholesky(self.gram))
            self._solved = root.T @ (root @ self.moments), root
        return self._solved

    def state(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        told: dict[str, Any] = {
            "n_attributes": self.n_attributes,
            "n_context": self.n_context,
            "pseudo_views": self.pseudo_views,
            **self._own(),
        }
        creatives = list(self.priors.items())
        attributes = np.array([self.attributes[name] for name in self.priors])
        arrays = {"gram": self.gram, "moments": self.moments}
        arrays["attributes"] = attributes.reshape(len(creatives), self.n_attributes)
        return {"settings": told, "creatives": creatives}, arrays

    def _own(self) -> dict[str, Any]:
        return {}

    @classmethod
    def restored(cls, told: dict[str, Any], arrays: dict[str, Floats]) -> Linear:
        belief = cls(**told["settings"])
        for (name, prior), own in zip(told["creatives"], arrays["attributes"], strict=True):
            belief.add(name, prior, own)
        if arrays["gram"].shape != belief.gram.shape:
            raise ValueError("the gram matrix is of another width")
        belief.gram, belief.moments = arrays["gram"], arrays["moments"]
        return belief


class LinearThompson(Linear):
    """Linear Thompson sampling (Agrawal & Goyal, 2013), by M draws of θ.

    The share of the draws in which a creative is the best is the chance with which it is shown.
    The choice is drawn from those shares, so its propensity is exact whatever M is; that of
    Thompson sampling with endless draws lies `draws_error` (one standard error) off at most.
    """

    kind = "linear_thompson"

    def __init__(
        self,
        n_attributes: int,
        n_context: int = 0,
        pseudo_views: float = 20,
        n_draws: int = 256,
    ) -> None:
        super().__init__(n_attributes, n_context, pseudo_views)
        if n_draws < 1:
            raise DataError(f"n_draws is {n_draws}; at least 1 is needed")
        self.n_draws = n_draws

    @property
    def draws_error(self) -> float:
        """Largest standard error of a share of the draws, 1 / (2 √M)."""
        return 0.5 / math.sqrt(self.n_draws)

    def chances(self, rows: Floats, rng: np.random.Generator) -> Floats:
        _, root = self._solution()
        draws = rng.standard_normal((self.n_draws, len(self.moments)))
        spread = self.noise() * draws @ (root @ rows.T)  # (M, K)
        best = (self.means(rows) + spread).argmax(axis=1)
        return np.bincount(best, minlength=len(rows)) / self.n_draws

    def _own(self) -> dict[str, Any]:
        return {"n_draws": self.n_draws}


class LinUCB(Linear):
    """LinUCB (Li et al., 2010): the creative whose upper bound is highest, with certainty.

    It draws nothing by itself. The floor and the cap of the selector make its propensities.
    """

    kind = "lin_ucb"

    def __init__(
        self,
        n_attributes: int,
        n_context: int = 0,
        pseudo_views: float = 20,
        width: float = 1.0,
    ) -> None:
        """Args: width: standard deviations between the mean and the upper bound."""
        super().__init__(n_attributes, n_context, pseudo_views)
        if not (math.isfinite(width) and width >= 0):
            raise DataError(f"width is {width}; give a number of standard deviations, 0 or more")
        self.width = float(width)

    def bounds(self, rows: Floats) -> Floats:
        """Upper bounds (K,) of the expected clicks a view."""
        _, root = self._solution()
        spread = np.sqrt(((root @ rows.T) ** 2).sum(axis=0))  # (K,)
        found: Floats = self.means(rows) + self.width * self.noise() * spread
        return found

    def chances(self, rows: Floats, rng: np.random.Generator) -> Floats:
        chances = np.zeros(len(rows))
        chances[self.bounds(rows).argmax()] = 1
        return chances

    def _own(self) -> dict[str, Any]:
        return {"width": self.width}
