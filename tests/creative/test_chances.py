"""Chances to be the best: closed forms, symmetry, and what more clicks do."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.creative.chances import best_chances
from etalage.errors import DataError

counts = st.floats(0.05, 5000)


def beats(a: int, b: int, c: int, d: int) -> float:
    """P(X > Y) of X ~ Beta(a, b), Y ~ Beta(c, d) of whole numbers, as sums of binomials.

    X of Beta(a, b) is the a-th least of a + b - 1 uniforms; X > Y when, of all that are drawn,
    the c-th of the one kind comes before the a-th of the other.
    """
    n, m = a + b - 1, c + d - 1
    # of the m others at least c lie below the a-th: exactly i of them does, i = c .. m
    return sum(
        comb(a - 1 + i, i) * comb(n - a + m - i, m - i) / comb(n + m, m) for i in range(c, m + 1)
    )


@pytest.mark.parametrize(
    ("a", "b", "c", "d"), [(1, 1, 1, 1), (2, 1, 1, 1), (3, 90, 7, 150), (12, 300, 2, 5)]
)
def test_two_creatives_have_the_closed_form(a: int, b: int, c: int, d: int) -> None:
    expected = beats(a, b, c, d)
    np.testing.assert_allclose(best_chances([a, c], [b, d]), [expected, 1 - expected], rtol=1e-10)


def test_uniform_beliefs_have_equal_chances_and_powers_have_theirs() -> None:
    """Beta(n, 1) is the largest of n uniforms, so chances are n over their sum."""
    n = np.array([1.0, 2.0, 5.0, 0.5])
    np.testing.assert_allclose(best_chances(n, np.ones(4)), n / n.sum(), rtol=1e-10)


def test_a_narrow_belief_beside_a_wide_one() -> None:
    """Y of Beta(1, 9) is below x with 1 - (1 - x)^9, whose mean over a Beta is a product."""
    expected = 1 - np.prod([(9e5 + i) / (1e6 + i) for i in range(9)])
    assert best_chances([1e5, 1], [9e5, 9])[0] == pytest.approx(expected, abs=1e-8)


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_chances_sum_to_one_and_follow_their_creatives(given_: list[tuple[float, float]]) -> None:
    a, b = np.array(given_).T
    found = best_chances(a, b)
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    np.testing.assert_allclose(best_chances(a[::-1], b[::-1])[::-1], found, atol=1e-7)


@given(st.tuples(counts, counts), st.tuples(counts, counts))
@settings(deadline=None, max_examples=40)
def test_a_click_more_raises_the_chance(
    own: tuple[float, float], other: tuple[float, float]
) -> None:
    before = best_chances([own[0], other[0]], [own[1], other[1]])[0]
    after = best_chances([own[0] + 1, other[0]], [own[1], other[1]])[0]
    assert after >= before - 1e-8


@pytest.mark.parametrize(
    ("clicked", "missed"),
    [([], []), ([1], [1, 2]), ([0.0, 1], [1, 1]), ([np.nan, 1], [1, 1]), ([[1.0]], [[1.0]])],
)
def test_bad_counts_are_refused(clicked: list[float], missed: list[float]) -> None:
    with pytest.raises(DataError, match=r"clicked|counts"):
        best_chances(clicked, missed)
