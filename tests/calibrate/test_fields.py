"""Curves of single values: found where there are rows, shrunk where there are few, never turned."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.calibrate import Calibrator, FieldEffects, Platt, SmoothIsotonic, from_dict
from etalage.calibrate.bases import Bases
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.measures import divergence
from etalage.calibrate.simulated import distorted
from etalage.errors import BundleError, DataError, NotFittedError


def clicks_of(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(logits)) < sigmoid(logits)).astype(np.int8)


def kl(truth: np.ndarray, found: np.ndarray) -> float:
    """Divergence from true logits, in ten-thousandths."""
    return 1e4 * divergence(sigmoid(truth), sigmoid(found))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_intercepts_and_slopes_are_found(seed: int) -> None:
    (x, y, codes, _), (x2, _, codes2, truth) = distorted(seed)
    for n_bases in (2, 8):
        fitted = FieldEffects(n_bases=n_bases).fit(x, y, codes)
        assert kl(truth, fitted.logit(x2, codes2)) < 20
    assert kl(truth, SmoothIsotonic().fit(x, y).logit(x2)) > 100


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shapes_of_their_own_are_found(seed: int) -> None:
    (x, y, codes, _), (x2, _, codes2, truth) = distorted(seed, own_shapes=True)
    own = kl(truth, FieldEffects().fit(x, y, codes).logit(x2, codes2))
    line = kl(truth, FieldEffects(n_bases=2).fit(x, y, codes).logit(x2, codes2))
    assert own < 36
    assert own < 0.85 * line


def test_fields_without_meaning_take_no_slope_away() -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    slopes = np.array([0.3, 0.6, 1.0, 1.3])
    codes = np.column_stack([rng.integers(0, 4, n), *rng.integers(0, 10, (4, n))])
    x = rng.normal(-2, 1.5, n)
    truth = slopes[codes[:, 0]] * (x + 2) - 2
    y = clicks_of(truth, rng)
    assert kl(truth, FieldEffects().fit(x, y, codes).logit(x, codes)) < 6


@pytest.mark.parametrize("slope", [-1.5, -3.0])
def test_values_whose_order_is_turned_keep_their_level(slope: float) -> None:
    rng = np.random.default_rng(0)
    x, codes = rng.normal(-2, 1, 60_000), rng.integers(0, 20, 60_000)
    truth = np.where(codes < 3, slope * (x + 2) - 2, x)
    y = clicks_of(truth, rng)
    p = FieldEffects().fit(x, y, codes).probability(x, codes)
    for value in range(20):
        rows = codes == value
        assert p[rows].sum() / y[rows].sum() == pytest.approx(1, abs=0.1)


def test_codes_may_be_anything_and_rows_without_weight_are_none() -> None:
    rng = np.random.default_rng(0)
    x, codes = rng.normal(-2, 1, 5000), rng.integers(0, 9, 5000)
    y = clicks_of(x + 0.2 * codes, rng)
    plain = FieldEffects().fit(x, y, codes).logit(x, codes)
    huge = FieldEffects().fit(x, y, 10**12 + codes * 10**9).logit(x, 10**12 + codes * 10**9)
    assert huge.tolist() == plain.tolist()
    weights = np.concatenate([np.ones(5000), np.zeros(10)])
    more = [np.append(a, [b] * 10) for a, b in ((x, 3.0), (y, 1), (codes, 77))]
    again = FieldEffects().fit(*more, weights)
    np.testing.assert_allclose(again.logit(x, codes), plain, atol=1e-9)
    assert again.logit([1.0], [77]) == again.curve.logit([1.0])


def test_values_that_do_not_differ_get_nothing() -> None:
    rng = np.random.default_rng(0)
    x, codes = rng.normal(-2, 1, 50_000), rng.integers(0, 300, 50_000)
    y = clicks_of(x, rng)
    fitted = FieldEffects().fit(x, y, codes)
    assert np.abs(fitted.logit(x, codes) - fitted.curve.logit(x)).mean() < 0.05, "unshrunk, 0.2"


def test_few_rows_are_shrunk_and_no_click_is_no_impossibility() -> None:
    rng = np.random.default_rng(0)
    x, codes = rng.normal(-2, 1, 40_000), np.repeat(np.arange(200), 200)
    y = clicks_of(x + rng.normal(0, 0.7, 200)[codes], rng)
    x, codes = np.append(x, [-2.0] * 6), np.append(codes, [200] * 3 + [201] * 3)
    y = np.append(y, [1] * 3 + [0] * 3)
    fitted = FieldEffects().fit(x, y, codes)
    plain, moved = fitted.curve.logit([-2.0])[0], fitted.logit([-2.0, -2.0], [200, 201])
    assert plain < moved[0] < plain + 2
    assert plain - 1 < moved[1] < plain


def test_several_fields_add_up() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    codes = np.column_stack([rng.integers(0, 50, n), rng.integers(0, 200, n)])
    one, two = rng.normal(0, 0.5, 50), rng.normal(0, 0.4, 200)
    x = rng.normal(-2, 1, n)
    truth = x + one[codes[:, 0]] + two[codes[:, 1]]
    y = clicks_of(truth, rng)
    both = FieldEffects().fit(x, y, codes)
    assert kl(truth, both.logit(x, codes)) < 15
    assert kl(truth, FieldEffects().fit(x, y, codes[:, 1]).logit(x, codes[:, 1])) > 60


def test_a_value_never_seen_is_as_all_are() -> None:
    (x, y, codes, _), _ = distorted(0, n_rows=20_000)
    fitted = FieldEffects().fit(x, y, codes)
    for unseen in (-1, -7, 2_000, 10**9):
        found = fitted.logit(x[:100], np.full(100, unseen))
        assert found.tolist() == fitted.curve.logit(x[:100]).tolist()
    found = fitted.logit(x[:100], np.full(100, int(np.setdiff1d(np.arange(2000), codes)[0])))
    assert np.abs(found - fitted.curve.logit(x[:100])).max() < 1e-12


def test_a_field_without_any_value_adds_nothing() -> None:
    (x, y, codes, _), _ = distorted(0, n_rows=5_000)
    both = np.column_stack([np.full(5_000, -1), codes])
    fitted, alone = FieldEffects().fit(x, y, both), FieldEffects().fit(x, y, codes)
    apart = np.abs(fitted.logit(x, both) - alone.logit(x, codes))
    assert apart.mean() < 0.01, "but for the slope that each of two fields may take away"
    none = FieldEffects().fit(x, y, both[:, :1])
    assert none.logit(x, both[:, :1]).tolist() == none.curve.logit(x).tolist()


@given(seed=st.integers(0, 2**31), n_fields=st.integers(1, 3), curve=st.sampled_from([Platt, None]))
@settings(max_examples=25, deadline=None)
def test_no_context_turns_or_ties_the_order(
    seed: int, n_fields: int, curve: type[Calibrator] | None
) -> None:
    rng = np.random.default_rng(seed)
    x, codes = rng.normal(-1, 2, 2000), rng.integers(0, 5, (2000, n_fields))
    y = clicks_of(np.where(codes[:, 0] < 2, -3 * x, 3 * np.sin(x)), rng)  # against all order
    fitted = FieldEffects(curve and curve()).fit(x, y, codes)
    grid = np.linspace(-14, 14, 20_001)
    for context in rng.integers(-1, 6, (8, n_fields)):
        steps = np.diff(fitted.logit(grid, np.tile(context, (len(grid), 1))))
        assert (steps > 0).all()
        assert steps.max() < 1, "and it has no jump"
    again = from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.logit(x, codes).tolist() == fitted.logit(x, codes).tolist()


def test_order_of_rows_and_repeats_change_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    x, codes = rng.normal(-1, 2, 5000), rng.integers(0, 20, 5000)
    y, weights = clicks_of(x + 0.1 * codes - 1, rng), rng.integers(1, 4, 5000)
    fitted = FieldEffects().fit(x, y, codes, weights).logit(x, codes)
    order = rng.permutation(np.repeat(np.arange(5000), weights))
    again = FieldEffects().fit(x[order], y[order], codes[order]).logit(x, codes)
    np.testing.assert_allclose(again, fitted, atol=1e-8)


def test_shapes_are_orthonormal_and_begin_with_a_constant_and_a_line() -> None:
    u = np.sort(np.random.default_rng(0).normal(0, 2, 5000))
    bases = Bases.of(u, np.ones(5000), 8)
    cell, share = bases.places(u)
    phi = bases.shapes[cell] * (1 - share)[:, None] + bases.shapes[cell + 1] * share[:, None]
    inside = (u >= bases.knots[0]) & (u <= bases.knots[-1])
    gram = phi[inside].T @ phi[inside] / inside.sum()
    np.testing.assert_allclose(gram, np.eye(8), atol=0.1)
    np.testing.assert_allclose(phi[:, 0], phi[0, 0], rtol=1e-2)
    line = np.polyfit(u[inside], phi[inside, 1], 1)
    np.testing.assert_allclose(np.polyval(line, u[inside]), phi[inside, 1], atol=0.1)
    assert (phi[u < bases.knots[0]] == phi[0]).all(), "beyond the knots nothing changes"


@pytest.mark.parametrize("logit", [[-1.0] * 300, [-1.0, 1.0] * 150])
def test_scores_that_are_all_alike_are_enough(logit: list[float]) -> None:
    codes = np.repeat([0, 1, 2], 100)
    y = np.concatenate([np.tile([1, 0], 50), np.zeros(100), np.tile([1, 0, 0, 0], 25)])
    p = FieldEffects().fit(logit, y, codes).probability(logit, codes)
    assert p[:100].mean() == pytest.approx(0.5, abs=0.12)
    assert p[100:200].mean() < 0.1


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, "needs a context"),
        ([1, 2, 3], r"shape \(3, 1\); expected \(2, fields\)"),
        ([0.5, 1.0], "whole numbers; got float64"),
        (["a", "b"], "whole numbers"),
        (np.zeros((2, 0), int), r"shape \(2, 0\)"),
    ],
)
def test_what_is_no_context_is_refused(context: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        FieldEffects().fit([0.0, 1.0], [0, 1], context)
    fitted = FieldEffects().fit([0.0, 1.0] * 10, [0, 1] * 10, [0, 1] * 10)
    with pytest.raises(DataError, match=message):
        fitted.logit([0.0, 1.0], context)


def test_other_numbers_of_fields_and_files_that_are_broken_are_refused() -> None:
    with pytest.raises(NotFittedError):
        FieldEffects().to_dict()
    fitted = FieldEffects().fit([0.0, 1.0] * 10, [0, 1] * 10, [0, 1] * 10)
    with pytest.raises(DataError, match="has 2 fields; 1 were fitted"):
        fitted.logit([0.0], [[0, 1]])
    facts = fitted.to_dict()
    assert facts["codes"] == [[0, 1]]
    steep = np.array(facts["tables"])
    steep[0, 0] -= 1e3 * np.arange(steep.shape[2])
    for broken in (
        {"knots": facts["knots"][::-1]},
        {"knots": facts["knots"][1:]},
        {"tables": steep.tolist()},
        {"tables": (steep * np.nan).tolist()},
        {"curve": {"kind": "magic"}},
        {"codes": [[1, 0]]},
        {"codes": [[0]]},
        {"codes": []},
    ):
        with pytest.raises(BundleError):
            from_dict(facts | broken)
