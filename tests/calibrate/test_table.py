"""Tables: what they promise of their error holds at every logit, in every context."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.calibrate import (
    Beta,
    FieldEffects,
    Histogram,
    Isotonic,
    MCNet,
    Platt,
    SmoothIsotonic,
    Table,
    from_dict,
)
from etalage.calibrate.calibrator import sigmoid
from etalage.errors import BundleError, DataError, NotFittedError


def rows(n: int = 5000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, context = rng.normal(-2, 1.5, n), rng.integers(0, 5, (n, 2))
    p = sigmoid(0.6 * x + 0.3 * context[:, 0] - 0.2 * context[:, 1])
    return x, (rng.random(n) < p).astype(int), context


@pytest.mark.parametrize("kind", [Platt, Beta, Isotonic, SmoothIsotonic])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_the_bound_holds(kind: type, seed: int) -> None:
    x, y, _ = rows(seed=seed)
    curve = kind().fit(x, y)
    table = Table.of(curve, error=5e-3)
    assert table.error <= 5e-3
    asked = np.random.default_rng(seed).uniform(-16, 16, 50_000)
    off = np.abs(table.logit(asked) - curve.logit(asked))
    assert off.max() <= table.error
    p = np.abs(table.probability(asked) - curve.probability(asked))
    assert p.max() <= table.error / 4


@pytest.mark.parametrize("kind", [FieldEffects, MCNet])
def test_contexts_have_their_curves_and_others_that_of_none(kind: type) -> None:
    x, y, context = rows()
    curve = kind().fit(x, y, context)
    kept = context[context[:, 0] < 4]
    table = Table.of(curve, kept)
    asked = np.random.default_rng(0).uniform(-8, 8, len(kept))
    off = np.abs(table.logit(asked, kept) - curve.logit(asked, kept))
    assert off.max() <= table.error <= 1e-3
    for unseen in ([4, 0], [-1, -1], [0, 99], [10**12, 3]):
        none, found = np.full((50, 2), -1), np.tile(unseen, (50, 1))
        np.testing.assert_allclose(table.logit(asked[:50], found), curve.logit(asked[:50], none),
                                   atol=1e-3)  # fmt: skip
    again = from_dict(json.loads(json.dumps(table.to_dict())))
    assert again.logit(asked, kept).tolist() == table.logit(asked, kept).tolist()
    assert again.error == table.error


def test_contexts_of_many_fields_are_found() -> None:
    rng = np.random.default_rng(0)
    n, n_fields = 600, 8
    x, context = rng.normal(-2, 1, n), rng.integers(0, 10**6, (n, n_fields))
    context[:, 0] = rng.integers(0, 3, n)
    y = rng.random(n) < sigmoid(x + context[:, 0])
    curve = FieldEffects(n_bases=1).fit(x, y, context)
    table = Table.of(curve, context[:50], error=0.05)
    off = np.abs(table.logit(x[:50], context[:50]) - curve.logit(x[:50], context[:50]))
    assert off.max() <= table.error
    none = np.full((n - 50, n_fields), -1)
    found = table.logit(x[50:], context[50:])
    np.testing.assert_allclose(found, curve.logit(x[50:], none), atol=table.error)


def test_a_table_of_a_table_says_the_whole_error() -> None:
    x, y, _ = rows()
    curve = Beta().fit(x, y)
    table = Table.of(Table.of(curve, error=0.05), error=0.05)
    grid = np.linspace(-16, 16, 10_001)
    assert table.error > Table.of(curve, error=0.05).error
    assert np.abs(table.logit(grid) - curve.logit(grid)).max() <= table.error


def test_a_table_rises_strictly_and_goes_on() -> None:
    x, y, _ = rows()
    table = Table.of(SmoothIsotonic().fit(x, y))
    grid = np.linspace(-40, 40, 80_001)
    assert (np.diff(table.logit(grid)) > 0).all()


def test_what_has_no_bound_is_said() -> None:
    x, y, _ = rows()
    with pytest.raises(DataError, match="histogram falls"):
        Table.of(Histogram().fit(x, 1 - y))
    with pytest.raises(DataError, match="must be between"):
        Table.of(Platt().fit(x, y), error=0)
    steep = Platt.from_dict({"slope": 1e6, "intercept": 0})
    with pytest.raises(DataError, match="too steep"):
        Table.of(steep)
    with pytest.raises(NotFittedError):
        Table().logit([0.0])
    with pytest.raises(DataError, match="too many"):
        Table.of(FieldEffects().fit(x, y, np.arange(len(x)) % 5), np.arange(5001))
    with pytest.raises(DataError, match="learns nothing"):
        Table().fit(x, y)


def test_files_that_fall_are_refused() -> None:
    x, y, _ = rows()
    table = Table.of(Platt().fit(x, y), error=0.1)
    facts = json.loads(json.dumps(table.to_dict()))
    assert from_dict(facts).logit(x).tolist() == table.logit(x).tolist()
    for key, wrong in (
        ("knots", facts["knots"][::-1]),
        ("knots", facts["knots"][1:]),
        ("values", [row[::-1] for row in facts["values"]]),
        ("contexts", [[1]]),
        ("error", None),
    ):
        with pytest.raises(BundleError):
            from_dict(facts | {key: wrong})
