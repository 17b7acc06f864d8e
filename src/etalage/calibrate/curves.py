"""Which bend may a curve have? Three of two parameters each: beta, Gaussian and gamma calibration.

Each is least l + α u(l) + β v(l) + c with two rising bases whose slopes add up to 1, so α, β >= 0
is all that keeps it rising: the published conditions, at both ends of the scores, are the same.
Fitted by maximum likelihood.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from etalage.calibrate.calibrator import Calibrator, Floats, checked_logits
from etalage.calibrate.logistic import rising
from etalage.calibrate.platt import are_alike, least_slope
from etalage.calibrate.summary import LogitSummary

NAMES = ("least", "alpha", "beta", "intercept", "low", "high")


class Curve(Calibrator):
    """A curve of two slopes, fitted between the lowest and the highest score."""

    least = alpha = beta = intercept = low = high = np.nan

    def learn(self, summary: LogitSummary) -> Self:
        x, clicks, mass = rows = summary.rows()
        self.low, self.high = float(x[0]), float(x[-1])
        self.least = least_slope(rows)
        # one row more, of the middle and of nearly the overall rate: no rate is then 0 or 1
        total = mass.sum()
        x = np.append(x, mass @ x / total)
        rates = np.append(clicks / mass, (clicks.sum() + 0.5) / (total + 1))
        weights = np.append(mass, 1.0)
        bases = self._bases(x)
        if are_alike(rows):
            bases = np.zeros_like(bases)
        slopes, self.intercept = rising(bases, rates, weights, offset=self.least * x)
        self.alpha, self.beta = slopes.tolist()
        return self

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if np.isnan(self.least):
            raise self.not_fitted()
        x = checked_logits(logits)
        bases = self._bases(x)
        return self.least * x + self.alpha * bases[:, 0] + self.beta * bases[:, 1] + self.intercept

    @abstractmethod
    def _bases(self, x: Floats) -> Floats:
        """u and v, (n, 2)."""

    def to_dict(self) -> dict[str, Any]:
        if np.isnan(self.least):
            raise self.not_fitted()
        return {"kind": self.kind} | {name: getattr(self, name) for name in NAMES}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        curve = cls()
        for name in NAMES:
            setattr(curve, name, float(facts[name]))
        values = np.array([getattr(curve, name) for name in NAMES])
        if not np.isfinite(values).all() or curve.least <= 0 or (values[1:3] < 0).any():
            raise ValueError("the curve does not rise everywhere, or a number is not finite")
        if curve.low > curve.high:
            raise ValueError("the lowest score is above the highest")
        return curve


class Beta(Curve):
    """logit p' = a ln p - b ln(1 - p) + c, a, b >= 0 (Kull et al., 2017); at rates far below 1 it
    is the power law p' = e^c p^a."""

    kind: ClassVar[str] = "beta"

    def _bases(self, x: Floats) -> Floats:
        return np.column_stack([-np.logaddexp(0, -x), np.logaddexp(0, x)])


class EndedCurve(Curve):
    """A curve between the lowest and the highest score, which goes on straight outside."""

    def _bases(self, x: Floats) -> Floats:
        t = np.clip(x, self.low, self.high) - self.low
        u = self._first(t, max(self.high - self.low, 1e-9))
        below, above = np.minimum(x - self.low, 0), np.maximum(x - self.high, 0)
        return np.column_stack([u + below, t - u + above])

    @abstractmethod
    def _first(self, t: Floats, width: float) -> Floats:
        """u at a distance t from the lowest score, 0 <= t <= width; its slope falls from 1 to 0."""


class Gaussian(EndedCurve):
    """logit p' = a l² + b l + c: scores of clicks and of misses are normal (Kweon et al., 2022)."""

    kind: ClassVar[str] = "gaussian"

    def _first(self, t: Floats, width: float) -> Floats:
        return t - t**2 / (2 * width)


class Gamma(EndedCurve):
    """logit p' = a ln s + b s + c with s = l - lowest + 1: both are gamma (Kweon et al., 2022)."""

    kind: ClassVar[str] = "gamma"

    def _first(self, t: Floats, width: float) -> Floats:
        last = width + 1
        return (np.log1p(t) - t / last) / (1 - 1 / last)
