"""Counted clicks against counting by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.data.features import FeatureTable
from etalage.models.ranking.counts import Counts, CountsConfig


def table(rows: list[tuple[int, int, int]]) -> FeatureTable:
    """Fields of 3 and 4 codes and a click a row."""
    item, device, clicks = np.array(rows, dtype=np.int32).reshape(-1, 3).T
    return FeatureTable(
        {"item": 3, "device": 4},
        np.column_stack([item, device]),
        (),
        np.zeros((len(item), 0), np.float32),
        clicks=clicks.astype(np.int8),
    )


def test_evidence_adds_up() -> None:
    """Half of all is clicked; item 1 has 2 of 3, and device 2 has 0 of 1, each and 2 of 4 more."""
    seen = table([(1, 1, 1), (1, 1, 1), (1, 2, 0), (2, 1, 0)])
    model = Counts(CountsConfig(smoothing=4.0))
    assert model.fit(seen).n_parameters == 7 + 1
    item, device = 4 / 7, 2 / 5
    expected = np.log(item / (1 - item)) + np.log(device / (1 - device))
    asked = table([(1, 2, 0), (1, 3, 0), (0, 0, 0)])
    assert model.score(asked) == pytest.approx([expected, np.log(item / (1 - item)), 0.0], abs=1e-6)


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 1)), min_size=2, max_size=40
).filter(lambda rows: len({click for _, _, click in rows}) == 2)


@given(ROWS, st.floats(0.1, 50))
def test_it_is_what_counting_by_hand_gives(
    rows: list[tuple[int, int, int]], smoothing: float
) -> None:
    def logit(p: float) -> float:
        return math.log(p / (1 - p))

    share = sum(click for _, _, click in rows) / len(rows)

    def said(field: int, code: int) -> float:
        clicks = [row[2] for row in rows if row[field] == code]
        if code == 0:
            return 0.0
        return logit((sum(clicks) + smoothing * share) / (len(clicks) + smoothing)) - logit(share)

    model = Counts(CountsConfig(smoothing=smoothing))
    model.fit(table(rows))
    grid = [(item, device, 0) for item in range(3) for device in range(4)]
    expected = [logit(share) + said(0, item) + said(1, device) for item, device, _ in grid]
    np.testing.assert_allclose(model.score(table(grid)), expected, atol=1e-5)


def test_more_smoothing_says_less() -> None:
    seen = table([(1, 1, 1), (1, 2, 1), (2, 1, 0), (2, 3, 0)] * 5)
    spreads = []
    for smoothing in (1.0, 10.0, 1000.0):
        model = Counts(CountsConfig(smoothing=smoothing))
        model.fit(seen)
        spreads.append(np.ptp(model.score(replace(seen, clicks=None))))
    assert spreads[0] > spreads[1] > spreads[2] > 0
