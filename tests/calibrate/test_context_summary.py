"""Summaries by context: they add up, and what is fitted to them is what would be fitted to all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.calibrate import FieldEffects, LogitSummary
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.context_summary import ContextSummary
from etalage.calibrate.measures import divergence
from etalage.calibrate.simulated import distorted
from etalage.errors import DataError


def kl(truth: np.ndarray, found: np.ndarray) -> float:
    """Divergence from true logits, in ten-thousandths."""
    return 1e4 * divergence(sigmoid(truth), sigmoid(found))


@pytest.mark.parametrize("own_shapes", [False, True])
def test_curves_are_those_of_all_rows(own_shapes: bool) -> None:
    seen, unseen = distorted(0, own_shapes=own_shapes, n_rows=200_000)
    summary = ContextSummary.of(*seen[:3])
    assert len(summary.keys) < 0.4 * len(seen.logits)
    found = FieldEffects().fit(*summary.rows()).logit(unseen.logits, unseen.values)
    whole = FieldEffects().fit(*seen[:3]).logit(unseen.logits, unseen.values)
    assert kl(unseen.truth, found) < 1.02 * kl(unseen.truth, whole)


@given(seed=st.integers(0, 2**31), cuts=st.lists(st.integers(0, 300), max_size=4))
@settings(max_examples=25, deadline=None)
def test_parts_add_up_to_the_whole(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 9, 300), rng.integers(0, 2, 300)
    context, weights = rng.integers(-2, 3, (300, 2)), rng.integers(0, 3, 300)
    weights[0] = 1
    whole = ContextSummary.of(x, y, context, weights)
    parts = [
        ContextSummary.of(x[some], y[some], context[some], weights[some])
        for some in np.split(rng.permutation(300), sorted(cuts))
        if weights[some].any()
    ]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    held = whole.sums[:, 0] > 0
    kept = total.sums[:, 0] > 0
    assert total.keys[kept].tolist() == whole.keys[held].tolist()
    np.testing.assert_allclose(total.sums[kept], whole.sums[held], rtol=1e-12, atol=1e-12)
    repeated = ContextSummary.of(*(np.repeat(c, weights, 0) for c in (x, y, context)))
    np.testing.assert_allclose(repeated.sums, whole.sums[held], rtol=1e-12, atol=1e-12)


def test_rows_are_as_many_and_as_often_clicked() -> None:
    rng = np.random.default_rng(0)
    x, y, context = rng.normal(-2, 1, 5000), rng.integers(0, 2, 5000), rng.integers(0, 9, 5000)
    rows = ContextSummary.of(x, y, context).scaled(0.5).rows()
    assert rows.weights.sum() == 2500
    assert rows.weights @ rows.clicks == y.sum() / 2
    assert rows.weights @ rows.logits == pytest.approx(x.sum() / 2)
    summary = LogitSummary.of(rows.logits, rows.clicks, rows.weights)
    assert summary.mass.sum() == 2500


def test_what_does_not_add_up_is_said() -> None:
    one = ContextSummary.of([0.0], [1], [[1]])
    with pytest.raises(DataError, match="do not add up"):
        one + ContextSummary.of([0.0], [1], [[1, 2]])
    with pytest.raises(DataError, match="needs a context"):
        ContextSummary.of([0.0], [1], None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="0 or 1"):
        ContextSummary.of([0.0], [2], [[1]])


def test_a_logit_far_off_moves_no_other() -> None:
    rows = ContextSummary.of([1e5, 15.99, -1e5], [1, 0, 0], [[0], [0], [0]]).rows()
    assert np.abs(rows.logits).max() <= 16
    assert sorted(rows.logits.round(2).tolist()) == [-16.0, 16.0, 16.0]
