"""Measures over values of a field: by hand, at their floors, and where nothing was clicked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.calibrate.field_measures import field_measures, gc_n, mvce
from etalage.errors import DataError


def honest(
    n: int, seed: int, rate: float = 0.02, n_values: int = 100
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    often = np.arange(1, n_values + 1) ** -0.7
    p = rng.beta(2, 2 / rate - 2, n)
    values = rng.choice(n_values, n, p=often / often.sum())
    return p, (rng.random(n) < p).astype(int), values


def test_by_hand() -> None:
    p, y, values = [0.5, 0.5, 0.2, 0.2, 0.4], [1, 1, 0, 0, 1], ["a", "a", "b", "b", "c"]
    found = field_measures(p, y, values)
    assert found["f_ece"] == pytest.approx((1 + 0.4 + 0.6) / 5)
    assert found["f_rce"] == pytest.approx((2 * 1 / 2 + 1 * 0.6 / 1) / 3)
    assert found["f_rce_coverage"] == pytest.approx(3 / 5)
    assert found["f_rce_smooth"] == pytest.approx((2 * 1 / 3 + 2 * 0.4 / 1 + 0.6 / 2) / 5)


@pytest.mark.parametrize("n_rows", [1, 5, 20, 100])
def test_floors_hold_where_values_are_small(n_rows: int) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(10):
        p = rng.beta(2, 60, 100_000)
        y = (rng.random(len(p)) < p).astype(int)
        cases.append(field_measures(p, y, np.arange(len(p)) // n_rows))
    for name in ("f_ece", "f_rce_smooth", "f_rce"):
        ratio = np.mean([m[name] for m in cases]) / np.mean([m[f"{name}_floor"] for m in cases])
        assert ratio == pytest.approx(1, abs=0.05), name


@pytest.mark.parametrize("rate", [0.02, 0.15])
def test_honest_probabilities_lie_at_the_floor(rate: float) -> None:
    cases = [field_measures(*honest(100_000, seed, rate)) for seed in range(12)]
    for name in ("f_ece", "f_rce"):
        ratio = np.mean([m[name] for m in cases]) / np.mean([m[f"{name}_floor"] for m in cases])
        assert ratio == pytest.approx(1, abs=0.05), name
    samples = [honest(100_000, seed, rate)[:2] for seed in range(4)]
    parts = [mvce(*sample, np.random.default_rng(0)) for sample in samples]
    noise = np.mean([p * (1 - p) for p, _ in samples])
    floor = np.sqrt(2 / np.pi) * np.sqrt(noise * 2000 / 100_000)
    assert np.mean(parts) == pytest.approx(floor, rel=0.05)


def test_what_is_wrong_in_fields_alone_is_found() -> None:
    p, y, values = honest(100_000, 0)
    wrong = np.clip(p * np.where(values % 2, 1.4, 0.6), 1e-6, 1)
    right, found = field_measures(p, y, values), field_measures(wrong, y, values)
    assert found["f_rce_excess"] > 0.25 > 3 * right["f_rce_excess"]
    assert found["f_ece_excess"] > 3 * right["f_ece_excess"]


def test_order_of_rows_changes_nothing() -> None:
    p, y, values = honest(3000, 0)
    order = np.random.default_rng(1).permutation(3000)
    again = field_measures(p[order], y[order], values[order])
    assert again == pytest.approx(field_measures(p, y, values))


def test_where_nothing_was_clicked_relative_errors_are_absent() -> None:
    found = field_measures([0.1, 0.2], [0, 0], [1, 1])
    assert "f_rce" not in found
    assert found["f_rce_smooth"] == pytest.approx(0.3)
    assert np.isnan(gc_n([0.1, 0.2], [0, 0], [1, 1]))


@given(
    rows=st.lists(
        st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 3), st.integers(0, 4)),
        min_size=1,
        max_size=40,
    ).filter(lambda rows: any(row[2] for row in rows))
)
@settings(max_examples=150, deadline=None)
def test_a_weight_is_a_row_as_many_times(rows: list[tuple[float, bool, int, int]]) -> None:
    p, y, w, values = (np.array(column) for column in zip(*rows, strict=True))
    again = np.repeat(np.arange(len(p)), w)
    one = field_measures(p, y, values, weights=w)
    assert one == pytest.approx(
        field_measures(p[again], y[again], values[again]), rel=1e-6, abs=1e-6
    )


def test_grouped_cal_n_by_hand() -> None:
    # buckets of a click each, ended by it: (.1 + .3) / 1 and (.4 + .9) / 1
    p, y = [0.1, 0.3, 0.4, 0.9], [0, 1, 0, 1]
    expected = np.sqrt(((1 / 0.4 - 1) ** 2 + 0.3**2) / 2)
    assert gc_n(p, y, [7] * 4, n_buckets=2) == pytest.approx(expected)
    assert gc_n(p, y, [7] * 4, n_buckets=50) == pytest.approx(expected)
    both = gc_n([*p, 0.5], [*y, 1], [7] * 4 + [8], n_buckets=2)
    assert both == pytest.approx((2 * expected + 1) / 3)


def test_small_samples_have_smaller_parts() -> None:
    assert mvce([0.5], [1], np.random.default_rng(0)) == pytest.approx(0.5)


def test_bad_rows_are_refused() -> None:
    with pytest.raises(DataError, match="2 probabilities but 1 values"):
        field_measures([0.1, 0.2], [0, 1], [1])
    with pytest.raises(DataError, match="between 0 and 1"):
        field_measures([-1.0, 0.2], [0, 1], [1, 2])
