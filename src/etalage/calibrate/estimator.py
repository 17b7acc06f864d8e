"""A calibrator where scikit-learn is at home: in a pipeline, a grid search or cross-validation.

Needs scikit-learn, which nothing else here does.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from etalage.calibrate import BY_FIELD, CALIBRATORS
from etalage.calibrate.calibrator import Floats, no_kind
from etalage.errors import DataError


class CalibratedScores(ClassifierMixin, BaseEstimator):
    """Probabilities from scores, as a classifier of two classes.

    X has the logit of a row in its first column; of `fields` and `mcnet`, whole numbers in the
    others, and of any other kind only the first column is read.

    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=2000)
    >>> clicks = rng.random(2000) < 1 / (1 + np.exp(-logits / 2))
    >>> model = CalibratedScores("platt").fit(logits[:, None], clicks)
    >>> float(model.predict_proba([[1.0]])[0, 1].round(1))
    0.6

    Args:
        kind: name of the calibrator.
    """

    def __init__(self, kind: str = "smooth_isotonic") -> None:
        self.kind = kind

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """X (n, columns), y (n,) of two classes; the second in order is a click."""
        if self.kind not in CALIBRATORS:
            raise no_kind(self.kind, CALIBRATORS)
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: "
                f"there are {len(self.classes_)} classes"
            )
        # a single class is one that always came
        clicks = codes if len(self.classes_) == 2 else np.ones(len(codes))
        self.calibrator_ = CALIBRATORS[self.kind]()
        context = self._context(rows)
        if sample_weight is not None and not np.asarray(sample_weight).any():
            raise ValueError("all weights are zero: there is nothing to learn from")
        try:
            self.calibrator_.fit(rows[:, 0], clicks, context, sample_weight)
        except DataError as error:
            raise ValueError(str(error)) from error
        return self

    def decision_function(self, X: ArrayLike) -> Floats:
        """Calibrated logits, (n,)."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        return self.calibrator_.logit(rows[:, 0], self._context(rows))

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probabilities of each class, (n, classes)."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        p = self.calibrator_.probability(rows[:, 0], self._context(rows))
        if len(self.classes_) == 1:
            return np.ones((len(p), 1))
        return np.column_stack([1 - p, p])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likelier class of each row, (n,)."""
        likelier = self.predict_proba(X).argmax(1)
        found: NDArray[Any] = self.classes_[likelier]
        return found

    def _context(self, rows: Floats) -> NDArray[np.int64] | None:
        if CALIBRATORS[self.kind] not in BY_FIELD:
            return None
        codes = rows[:, 1:].astype(np.int64)
        if (codes != rows[:, 1:]).any():
            raise ValueError("fields must be whole numbers; some of the columns are not")
        return codes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True  # most columns are not read
        return tags
