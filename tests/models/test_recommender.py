"""The one top-k that all models share: exact, ordered by index among equals, blind to NaN."""

import numpy as np
import pytest

from etalage.models.recommender import best


@pytest.mark.parametrize(("n_items", "k"), [(5, 3), (5, 9), (1100, 20), (3000, 20), (3000, 2999)])
@pytest.mark.parametrize("kind", ["distinct", "tied", "mostly unknown", "constant"])
def test_best_is_what_a_full_stable_sort_gives(n_items: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(n_items + k)
    scores = rng.normal(size=(8, n_items)).astype(np.float32)
    if kind == "tied":
        scores = np.round(scores)
    elif kind == "mostly unknown":
        scores[rng.random(scores.shape) < 0.99] = np.nan
        scores[0] = np.nan
    elif kind == "constant":
        scores[:] = 1
    known = np.where(np.isnan(scores), -np.inf, scores)
    items = np.argsort(-known, axis=1, kind="stable")[:, :k].astype(np.int32)
    values = np.take_along_axis(known, items, 1)
    items[np.isneginf(values)] = -1
    width = items.shape[1]
    top = best(scores, k)
    assert np.array_equal(top.items[:, :width], items)
    assert np.array_equal(top.scores[:, :width], values)
    assert (top.items[:, width:] == -1).all()
    assert np.isneginf(top.scores[:, width:]).all()
