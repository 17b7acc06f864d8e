"""How does a logit become a probability? What every calibrator can do.

Letters: n rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.errors import BundleError, DataError, NotFittedError, RecipeError, did_you_mean

if TYPE_CHECKING:
    from etalage.calibrate.summary import LogitSummary

Floats = NDArray[np.float64]


LEAST, MOST = -700.0, 36.0
"""Logits beyond which a float64 probability would be 0 or 1."""
HALVINGS = 64
"""Of an interval of 1,400, after which it is a rounding."""


class Calibrator(ABC):
    """A monotone map from a ranker's logits to probabilities that clicks bear out.

    A map never reorders what it is given: where one logit is higher, its probability is not lower,
    the context being equal.
    """

    kind: ClassVar[str]

    def fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Learns from clicks 0 or 1, (n,), that the ranker was not trained on.

        `context`, (n, columns), is what is known of each row beside its logit; a calibrator that
        maps all rows alike ignores it, and learns from their summary.
        """
        from etalage.calibrate.summary import LogitSummary

        return self.learn(LogitSummary.of(logits, clicks, weights))

    @abstractmethod
    def learn(self, summary: LogitSummary) -> Self:
        """Learns from summarised rows; DataError where there are none."""

    @abstractmethod
    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        """Calibrated logits, float64 (n,)."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON, with its `kind`."""

    @classmethod
    @abstractmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        """Reads what `to_dict` gave."""

    def inverse(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        """Logits, float64 (n,), that become the calibrated `logits` (n,), by bisection; where some
        are tied, or none becomes it, one beside it."""
        targets = checked_logits(logits)
        low, high = np.full(len(targets), LEAST), np.full(len(targets), -LEAST)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            is_below = self.logit(middle, context) < targets
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
        return high

    def not_fitted(self) -> NotFittedError:
        """What to raise where nothing was learnt yet."""
        name = type(self).__name__
        return NotFittedError(f"{name} is not fitted; call fit(logits, clicks) first")

    def probability(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        """Probabilities, float64 (n,), never exactly 0 or 1."""
        bounded = np.minimum(np.maximum(self.logit(logits, context), LEAST), MOST)
        return 1 / (1 + np.exp(-bounded))


def sigmoid(logits: ArrayLike) -> Floats:
    """1 / (1 + exp(-l)) without overflow.

    >>> sigmoid([0.0, -800.0, 800.0]).tolist()
    [0.5, 0.0, 1.0]
    """
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, powers) / (1 + powers)


def log_odds(probabilities: ArrayLike) -> Floats:
    """log(p / (1 - p)), the inverse of `sigmoid`."""
    p = np.asarray(probabilities, dtype=np.float64)
    return np.log(p) - np.log1p(-p)


def checked_logits(logits: ArrayLike) -> Floats:
    """Logits as float64 (n,); DataError where one is no number."""
    values = np.asarray(logits, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(
            f"logits must be finite; {bad:,} of {len(values):,} are NaN or infinite: the ranker "
            "has diverged, or probabilities of 0 or 1 were turned into logits"
        )
    return values


def checked_rows(
    logits: ArrayLike, clicks: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats]:
    """Logits, clicks and weights as float64 (n,); DataError for what cannot be learnt from."""
    values = checked_logits(logits)
    labels = checked_clicks(clicks, len(values))
    return values, labels, checked_weights(weights, len(values))


def checked_weights(weights: ArrayLike | None, n_rows: int) -> Floats:
    """Weights as float64 (n,), 1 where there are none; DataError for what is none."""
    if weights is None:
        return np.ones(n_rows)
    scales = np.asarray(weights, dtype=np.float64).ravel()
    right = np.isfinite(scales) & (scales >= 0)
    if len(scales) != n_rows or not right.all() or not np.isfinite(scales.sum()):
        raise DataError(
            f"weights must be {n_rows:,} finite numbers with a finite sum, none negative; got "
            f"{len(scales):,}, of which {int((~right).sum()):,} are negative, NaN or infinite"
        )
    if not scales.any():
        raise DataError("all weights are 0: there is nothing to learn from")
    return scales


def checked_clicks(clicks: ArrayLike, n_rows: int) -> Floats:
    """Clicks as float64 (n,); DataError unless there are `n_rows` of them, each 0 or 1."""
    labels = np.asarray(clicks, dtype=np.float64).ravel()
    if len(labels) != n_rows:
        raise DataError(f"there are {n_rows:,} logits or probabilities but {len(labels):,} clicks")
    if not n_rows:
        raise DataError("there are no rows; expected at least one impression")
    wrong = ~np.isin(labels, (0.0, 1.0))
    if wrong.any():
        raise DataError(
            f"clicks must be 0 or 1; {int(wrong.sum()):,} of {n_rows:,} are not, the first is row "
            f"{int(wrong.argmax()) + 1:,}: {labels[wrong.argmax()]}"
        )
    return labels


def from_dict(facts: dict[str, Any]) -> Calibrator:
    """Builds the calibrator that `to_dict` described; BundleError for what is none."""
    from etalage.calibrate import READABLE

    try:
        return READABLE[facts["kind"]].from_dict(facts)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"this is no calibrator that can be read ({error!r}); known kinds: "
            f"{', '.join(READABLE)}"
        ) from error


def no_kind(kind: str, known: Collection[str]) -> RecipeError:
    """What to raise where there is no calibrator of a kind."""
    return RecipeError(
        f"there is no calibrator {kind!r}{did_you_mean(kind, known)} (known: {', '.join(known)})"
    )
