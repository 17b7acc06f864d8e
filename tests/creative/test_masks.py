"""Masks are exact, need no seed, and do not see an object where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etalage.creative.masks import exclusive, largest, two_means
from etalage.errors import DataError

VALUES = st.lists(st.integers(0, 200), min_size=2, max_size=20)


def within(values: np.ndarray, is_upper: np.ndarray) -> float:
    """Squares within two parts."""
    return sum(float(((part - part.mean()) ** 2).sum()) for part in (values[is_upper],
               values[~is_upper]) if len(part))  # fmt: skip


@given(VALUES)
def test_no_other_way_to_part_values_in_two_is_better(given_values: list[int]) -> None:
    values = np.array(given_values, float)
    threshold, separation = two_means(torch.tensor(values, dtype=torch.float32))
    least = min(within(values, values >= cut) for cut in values)
    found = within(values, values >= threshold.item())
    assert found <= least + 1e-3 * (1 + least)
    total = within(values, np.ones(len(values), bool))
    if total:
        flat = len(values) * (1e-3 * values.mean()) ** 2
        assert separation.item() == pytest.approx((total - found) / (total + flat), abs=1e-3)
        assert 0 < (values >= threshold.item()).sum() < len(values)


@given(VALUES, st.sampled_from([2.0**-20, 1.0, 2.0**13]))
def test_neither_scale_nor_order_matters(given_values: list[int], scale: float) -> None:
    maps = torch.tensor(given_values, dtype=torch.float64)
    threshold, separation = two_means(maps)
    threshold_of_scaled, same = two_means(maps.flip(0) * scale)
    assert (maps >= threshold).equal(maps * scale >= threshold_of_scaled)
    assert same.item() == pytest.approx(separation.item(), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 1 / 120, 7.0])
def test_a_flat_map_and_its_rounding_separate_nothing(value: float) -> None:
    noise = torch.randn(4096, generator=torch.Generator().manual_seed(0))
    assert two_means(torch.full((4096,), value))[1] == 0
    assert two_means(value + 1e-6 * value * noise)[1] < 1e-3


def test_separation_tells_two_levels_from_a_ramp_and_noise() -> None:
    two = torch.tensor([0.1] * 30 + [0.4] * 10)
    noise = torch.randn(100_000, generator=torch.Generator().manual_seed(0)) + 10
    found = [two_means(maps)[1].item() for maps in (two, torch.arange(4096.0), noise)]
    assert found == pytest.approx([1, 0.75, 0.64], abs=0.005)


def test_rows_of_a_batch_do_not_know_each_other() -> None:
    maps = torch.rand(3, 2, 50, generator=torch.Generator().manual_seed(0))
    threshold, separation = two_means(maps)
    for n in range(3):
        for k in range(2):
            alone, apart = two_means(maps[n, k])
            assert alone == threshold[n, k]
            assert apart == separation[n, k]


def test_one_pixel_cannot_be_parted() -> None:
    with pytest.raises(DataError, match="1 pixels has no two parts"):
        two_means(torch.ones(1, 2, 1))


@given(st.integers(1, 60), st.floats(0.001, 1))
def test_the_largest_share_is_exact(n: int, share: float) -> None:
    maps = torch.randperm(n, generator=torch.Generator().manual_seed(n)).float()
    n_kept = int((maps >= largest(maps, torch.tensor(share))).sum())
    assert n_kept == max(1, int(np.ceil(share * n - 1e-4)))


def test_a_pixel_goes_to_the_object_that_stands_out_there() -> None:
    """The second map is higher everywhere, and less so than usual at the first pixel."""
    maps = torch.tensor([[[0.2, 0.1, 0.1, 0.1], [0.5, 0.6, 0.9, 0.6], [9, 9, 9, 9.0]]])
    masks = torch.tensor([[[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]]).bool()
    found = exclusive(masks, maps, torch.tensor([[True, True, False]]))
    assert found.int().tolist() == [[[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]]
