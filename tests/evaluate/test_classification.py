"""AUC and its kin against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from etalage.errors import DataError
from etalage.evaluate.classification import auc, gauc, rig


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=2, max_size=60))
@settings(max_examples=80, deadline=None)
def test_auc_is_that_of_scikit_learn_with_ties(rows: list[tuple[int, int]]) -> None:
    scores, clicks = (np.array(c) for c in zip(*rows, strict=True))
    if len(set(clicks.tolist())) < 2:
        assert np.isnan(auc(scores, clicks))
    else:
        assert auc(scores, clicks) == pytest.approx(roc_auc_score(clicks, scores))


def test_gauc_is_the_mean_over_groups_that_can_tell() -> None:
    rng = np.random.default_rng(0)
    groups, scores = rng.integers(0, 40, 600), rng.integers(0, 9, 600)
    clicks = (rng.random(600) < 0.1).astype(int)
    total, rows = 0.0, 0
    for g in range(40):
        own = groups == g
        if 0 < clicks[own].sum() < own.sum():
            total += own.sum() * roc_auc_score(clicks[own], scores[own])
            rows += own.sum()
    found, share = gauc(scores, clicks, groups)
    assert found == pytest.approx(total / rows)
    assert share == pytest.approx(rows / 600)
    assert np.isnan(gauc([1, 2], [0, 0], [0, 1])[0])


def test_information_gain() -> None:
    clicks = np.array([0, 0, 0, 1])
    assert rig([0.25] * 4, clicks) == pytest.approx(0)
    p = np.array([0.1, 0.2, 0.1, 0.8])
    expected = 1 - log_loss(clicks, p) / log_loss(clicks, [0.25] * 4)
    assert rig(p, clicks) == pytest.approx(expected)
    assert np.isnan(rig([0.5], [1]))
    with pytest.raises(DataError, match="no rows"):
        rig([], [])
    with pytest.raises(DataError, match="must be 0 or 1"):
        rig([0.5], [2])


@pytest.mark.parametrize(
    ("scores", "clicks", "message"),
    [([0.1, np.nan], [0, 1], "1 of 2 scores are NaN"), ([0.1], [0, 1], "but 2 clicks"),
     ([0.1, 0.2], [0, np.nan], "must be 0 or 1"), ([], [], "no rows")],
)  # fmt: skip
def test_bad_rows_are_refused(scores: list, clicks: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        auc(scores, clicks)


def test_groups_must_match() -> None:
    with pytest.raises(DataError, match="2 scores but 1 groups"):
        gauc([1, 2], [0, 1], [0])
