"""What all lists show together: values worked out by hand."""

import math

import numpy as np
import pytest

from etalage.evaluate.exposure import Exposure, gini


def test_two_lists_over_four_items() -> None:
    counts = np.array([6, 0, 1, 5])  # with one added: 7, 1, 2, 6 of 16
    exposure = Exposure(4, (1, 2), counts)
    exposure.add(np.array([[0, 1]], np.int32))
    exposure.add(np.array([[0, -1]], np.int32))
    got = exposure.metrics()
    assert got["coverage@1"] == 0.25
    assert got["coverage@2"] == 0.5
    assert got["gini@1"] == 0.75
    assert got["novelty@1"] == pytest.approx(math.log2(16 / 7))
    assert got["novelty@2"] == pytest.approx((2 * math.log2(16 / 7) + 4) / 3)


def test_gini_does_not_depend_on_scale_or_order() -> None:
    counts = np.random.default_rng(0).integers(0, 50, 40)
    pairs = np.abs(counts[:, None] - counts).sum() / (2 * 40 * counts.sum())  # its definition
    assert gini(counts) == pytest.approx(pairs)
    assert gini(3 * counts[::-1]) == pytest.approx(pairs)


def test_nothing_shown_is_not_a_number() -> None:
    exposure = Exposure(3, (2,), np.ones(3, int))
    exposure.add(np.full((2, 2), -1, np.int32))
    got = exposure.metrics()
    assert got["coverage@2"] == 0
    assert math.isnan(got["gini@2"])
    assert math.isnan(got["novelty@2"])
