"""Summaries of rows by logit: nothing is lost that a fit needs, and parts add up exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from etalage.calibrate.summary import K, LogitSummary
from etalage.errors import DataError


def same(one: LogitSummary, other: LogitSummary) -> bool:
    blocks = ("mass", "clicks", "places")
    return all(np.array_equal(getattr(one, b), getattr(other, b)) for b in blocks)


def random_rows(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-3, 4, n)
    return logits, (rng.random(n) < 1 / (1 + np.exp(-logits))).astype(np.int8)


@given(
    logits=arrays(np.float64, st.integers(1, 60), elements=st.floats(-30, 30)),
    seed=st.integers(0, 2**31),
    cut=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_parts_in_any_order_add_up_to_the_whole(logits: np.ndarray, seed: int, cut: float) -> None:
    rng = np.random.default_rng(seed)
    clicks = rng.integers(0, 2, len(logits))
    weights = rng.integers(1, 4, len(logits)).astype(float)
    whole = LogitSummary.of(logits, clicks, weights)
    order, n = rng.permutation(len(logits)), int(cut * len(logits))
    parts = [p for p in (order[:n], order[n:]) if len(p)]
    total = LogitSummary()
    for part in parts:
        total.add(logits[part], clicks[part], weights[part])
    assert same(total, whole)
    first = LogitSummary.of(logits[parts[0]], clicks[parts[0]], weights[parts[0]])
    rest = [LogitSummary.of(logits[p], clicks[p], weights[p]) for p in parts[1:]]
    assert same(sum(rest, first), whole)
    repeated = LogitSummary.of(*(np.repeat(a, weights.astype(int)) for a in (logits, clicks)))
    assert same(repeated, whole)


def test_every_row_and_its_logit_is_there() -> None:
    logits, clicks = random_rows(700_000)  # more than a chunk
    rows = LogitSummary.of(logits, clicks).rows()
    assert rows.mass.sum() == len(logits)
    assert rows.clicks.sum() == clicks.sum()
    assert rows.mass @ rows.logits == pytest.approx(logits.sum(), rel=1e-9)
    assert (np.diff(rows.logits) > 0).all()
    inside = np.abs(rows.logits) < 15.9
    nearest = np.sort(logits)[np.searchsorted(np.sort(logits), rows.logits).clip(0, 699_999)]
    assert np.abs(nearest - rows.logits)[inside].max() < 32 / K


@pytest.mark.parametrize("number", [np.float32, np.float16, np.int64])
def test_other_numbers_are_read_as_they_are(number: type) -> None:
    logits = np.array([-2, -1, 0, 3]).astype(number)
    rows = LogitSummary.of(logits, [True, False, True, True]).rows()
    assert rows.logits.tolist() == [-2, -1, 0, 3]
    assert rows.clicks.tolist() == [1, 0, 1, 1]


def test_a_window_slides_and_the_past_decays() -> None:
    days = [LogitSummary.of(*random_rows(500, seed)) for seed in range(3)]
    assert same(days[0] + days[1] + days[2] - days[0], days[1] + days[2])
    assert (days[0] - days[0]).mass.sum() == 0
    half = days[0].scaled(0.5)
    assert half.rows().mass.sum() == 250
    np.testing.assert_allclose(half.rows().logits, days[0].rows().logits)


def test_what_a_window_leaves_behind_by_rounding_is_no_row() -> None:
    logits, clicks = random_rows(100)
    some, others = LogitSummary.of(logits, clicks, np.full(100, 0.1)), LogitSummary()
    for _ in range(3):
        others = others + some
    left = others - some - some + LogitSummary.of([5.0], [1])
    window = left - some
    assert window.rows().logits.tolist() == [5.0]
    assert window.rows().clicks.tolist() == [1.0]


def test_misses_that_were_left_out_are_put_back() -> None:
    """Of a rate of 2 %, a tenth of the misses is kept; the ranker has seen no others."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-4, 0.7, 400_000)
    clicks = rng.random(len(truth)) < 1 / (1 + np.exp(-truth))
    kept = clicks | (rng.random(len(truth)) < 0.1)
    learnt = truth - np.log(0.1)  # what a ranker learns from the rows that were kept
    whole = LogitSummary.of(truth, clicks).rows()
    found = LogitSummary().add(learnt[kept], clicks[kept], kept_misses=0.1).rows()
    assert found.clicks.sum() == whole.clicks.sum()
    assert found.mass.sum() == pytest.approx(whole.mass.sum(), rel=5e-3)
    mean = float(whole.mass @ whole.logits / whole.mass.sum())
    assert found.mass @ found.logits / found.mass.sum() == pytest.approx(mean, abs=0.02)
    weighted = LogitSummary().add(learnt[kept], clicks[kept], np.full(kept.sum(), 2.0),
                                  kept_misses=0.1)  # fmt: skip
    assert weighted.mass.sum() == pytest.approx(2 * found.mass.sum())


@pytest.mark.parametrize(
    ("logits", "clicks", "weights", "message"),
    [
        ([0.0, np.nan], [0, 1], None, "1 of 2 are NaN"),
        ([0.0, 1.0], [0, 0.5], None, "must be 0 or 1"),
        ([0.0], [0, 1], None, "1 logits or probabilities but 2 clicks"),
        ([0.0, 1.0], [0, 1], [1.0], "weights must be 2"),
        ([0.0, 1.0], [0, 1], [1.0, -1.0], "1 are negative"),
        ([0.0, 1.0], [0, 1], [0.0, 0.0], "all weights are 0"),
        ([0.0, 1.0], [0, 1], [1.0, np.nan], "NaN or infinite"),
    ],
)
def test_what_is_no_row_is_refused_and_leaves_no_trace(
    logits: list, clicks: list, weights: list | None, message: str
) -> None:
    summary = LogitSummary()
    with pytest.raises(DataError, match=message):
        summary.add(logits, clicks, weights)
    assert summary.mass.sum() == 0
    with pytest.raises(DataError, match="holds no rows"):
        summary.rows()


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, np.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="kept_misses"):
        LogitSummary().add([0.0], [1], kept_misses=share)


def test_a_part_without_rows_adds_none() -> None:
    assert LogitSummary().add([], []).mass.sum() == 0


def test_numbers_as_text_are_numbers() -> None:
    rows = LogitSummary.of(["0", "1", "2"], ["1", "1", "0"]).rows()
    assert rows.clicks.tolist() == [1, 1, 0]
