"""The wrapper for scikit-learn: its own checks, and the same numbers as without it."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from etalage.calibrate import FieldEffects, Platt
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.estimator import CalibratedScores
from etalage.errors import RecipeError

KINDS = ("smooth_isotonic", "platt", "beta")


@parametrize_with_checks([CalibratedScores(kind) for kind in KINDS])
def test_it_passes_the_checks_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def rows(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits, values = rng.normal(-1, 1.5, n), rng.integers(0, 8, n)
    clicks = rng.random(n) < sigmoid(0.5 * logits + 0.3 * values - 1)
    return np.column_stack([logits, values]), np.where(clicks, "yes", "no")


def test_probabilities_are_those_of_the_calibrator() -> None:
    x, y = rows()
    clicks = y == "yes"
    model = CalibratedScores("platt").fit(x, y)
    assert model.classes_.tolist() == ["no", "yes"]
    expected = Platt().fit(x[:, 0], clicks).probability(x[:, 0])
    np.testing.assert_array_equal(model.predict_proba(x)[:, 1], expected)
    by_value = CalibratedScores("fields").fit(x, y, np.full(len(x), 2.0)).predict_proba(x)[:, 1]
    codes = x[:, 1].astype(int)
    same = FieldEffects().fit(x[:, 0], clicks, codes, np.full(len(x), 2.0))
    np.testing.assert_array_equal(by_value, same.probability(x[:, 0], codes))


def test_kinds_are_searched_like_any_setting() -> None:
    x, y = rows()
    search = GridSearchCV(CalibratedScores(), {"kind": ["platt", "fields"]}, scoring="neg_log_loss")
    assert search.fit(x, y).best_params_ == {"kind": "fields"}


def test_a_kind_that_does_not_exist_is_named() -> None:
    with pytest.raises(RecipeError, match="did you mean 'platt'"):
        CalibratedScores("plat").fit(*rows(10))
