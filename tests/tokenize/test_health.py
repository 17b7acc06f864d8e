"""The health of ids, on codes whose figures are known."""

import json

import numpy as np
import pytest

from etalage.errors import DataError
from etalage.tokenize.health import (
    HealthLimits,
    HealthReport,
    check,
    check_health,
    measure_codes,
)
from etalage.tokenize.neighbours import nearest_items
from etalage.tokenize.residual import ResidualKMeans


def blobs(n_blobs: int = 4, each: int = 25, spread: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = np.eye(n_blobs) * 10
    near = rng.normal(size=(n_blobs, each, n_blobs)) * spread
    return (centres[:, None] + near).reshape(-1, n_blobs).astype(np.float32)


def test_equal_blobs_are_used_alike_and_keep_their_neighbours() -> None:
    report = check_health(ResidualKMeans(2, 4).fit(blobs()), blobs())
    assert report.n_items == 100
    assert report.perplexity[0] == pytest.approx(4)
    assert report.dead_codes == (0, 0)
    assert report.neighbour_agreement == 1
    assert report.chance_agreement == pytest.approx(24 / 99)
    assert report.explained[0] > 0.999
    assert report.explained[1] >= report.explained[0]


def test_equal_vectors_collide_and_leave_codes_dead() -> None:
    x = np.repeat(np.eye(3, dtype=np.float32), [5, 2, 1], axis=0)
    report = check_health(ResidualKMeans(1, 8).fit(x), x)
    assert report.collision_rate == pytest.approx(7 / 8)
    assert report.largest_collision == 5
    assert report.dead_codes == (5,)
    assert report.explained[0] == pytest.approx(1)


def test_codes_drawn_blindly_agree_as_chance_has_it() -> None:
    x = np.random.default_rng(0).normal(size=(1500, 32)).astype(np.float32)
    quantizer = ResidualKMeans(1, 8).fit(x)
    quantizer.encode = lambda v: np.random.default_rng(1).integers(0, 8, (len(v), 1))  # type: ignore
    report = check_health(quantizer, x)
    assert report.neighbour_agreement == pytest.approx(report.chance_agreement, abs=0.01)


def test_one_item_has_no_neighbours_and_json_takes_it_all() -> None:
    x = np.ones((1, 3), np.float32)
    report = check_health(ResidualKMeans(2, 4).fit(x), x)
    assert np.isnan(report.neighbour_agreement)
    assert (report.explained, report.largest_collision) == ((1.0, 1.0), 1)
    assert json.loads(json.dumps(report.to_dict()))["dead_codes"] == [3, 3]


def test_figures_of_codes_that_are_counted_by_hand() -> None:
    codes = np.array([[0, 0], [0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [1, 1], [2, 3]], np.int32)
    report = measure_codes(codes, (4, 4))
    assert report.sizes == (4, 4)
    assert report.prefixes == (3, 5)
    assert report.dead_codes == (1, 1)
    assert report.usage == (0.75, 0.75)
    assert report.collision_rate == 5 / 8
    assert report.duplicate_rate == 3 / 8
    assert report.largest_collision == 3
    assert report.prefix_collisions == (7 / 8, 5 / 8)
    first = -(3 / 8 * np.log2(3 / 8) + 4 / 8 * np.log2(4 / 8) + 1 / 8 * np.log2(1 / 8))
    both = -(2 / 8 * np.log2(2 / 8) + 3 / 8 * np.log2(3 / 8) + 3 * 1 / 8 * np.log2(1 / 8))
    assert report.entropy[0] == pytest.approx(first)
    assert report.perplexity[0] == pytest.approx(2**first)
    assert report.conditional_entropy == pytest.approx((first, both - first))
    assert np.isnan(report.neighbour_preservation)
    assert report.explained == report.purity == report.traffic_perplexity == ()


def test_labels_traffic_and_pairs_that_are_counted_by_hand() -> None:
    codes = np.array([[0, 0], [0, 1], [0, 1], [1, 0], [1, 0]], np.int32)
    report = measure_codes(
        codes, (2, 2), labels=np.array(["tea", "tea", "mug", "mug", "pot"]),
        counts=np.array([7, 0, 1, 1, 1]), pairs=np.array([[0, 1], [0, 3], [3, 4], [4, 3]]),
    )  # fmt: skip
    assert report.purity == (3 / 5, 3 / 5)
    assert report.head_traffic == (0.8, 0.9)
    assert report.traffic_perplexity[0] == pytest.approx(
        2 ** -(0.8 * np.log2(0.8) + 0.2 * np.log2(0.2))
    )
    assert report.consecutive_agreement == 3 / 4
    assert report.chance_consecutive == (2 * 1 + 2 * 3) / 16


def test_codes_that_follow_labels_are_purer_than_chance() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 5000)
    blind = np.random.default_rng(1).integers(0, 10, (5000, 1)).astype(np.int32)
    knowing = labels[:, None].astype(np.int32)
    assert measure_codes(knowing, (10,), labels=labels).purity == (1.0,)
    report = measure_codes(blind, (10,), labels=labels)
    assert report.purity[0] == pytest.approx(report.chance_purity[0], abs=0.02)


def test_neighbours_are_those_of_all_distances() -> None:
    x = np.random.default_rng(0).normal(size=(500, 5)).astype(np.float32)
    asked, near = nearest_items(x, 7)
    apart = ((x[:, None].astype(np.float64) - x) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    assert np.array_equal(asked, np.arange(500))
    assert np.array_equal(near, apart.argsort(1)[:, :7])
    assert nearest_items(x[:1], 7)[1].shape == (1, 0)
    assert nearest_items(x[:3], 7)[1].shape == (3, 2)


def test_preservation_asks_for_the_first_half_of_the_codes() -> None:
    x = blobs(4, 25)
    family = np.repeat(np.arange(4), 25)[:, None]
    blind = np.random.default_rng(0).integers(0, 50, (100, 4))
    sizes = (50,) * 4
    half = np.hstack([family, family, blind[:, :2]]).astype(np.int32)
    quarter = np.hstack([family, blind[:, :3]]).astype(np.int32)
    assert measure_codes(half, sizes, vectors=x).neighbour_preservation == 1
    assert measure_codes(half, sizes, vectors=x).chance_preservation == pytest.approx(24 / 99)
    report = measure_codes(quarter, sizes, vectors=x)
    assert report.neighbour_agreement == 1
    assert report.neighbour_preservation < 0.2
    three = measure_codes(half[:, :3], sizes[:3], vectors=x)  # two of three are half or more
    assert three.neighbour_preservation == 1
    assert measure_codes(quarter[:, :3], sizes[:3], vectors=x).neighbour_preservation < 0.2


def test_every_figure_past_its_limit_is_named_with_what_to_do() -> None:
    codes = np.zeros((10, 2), np.int32)
    report = measure_codes(
        codes, (4, 4), vectors=np.eye(10, dtype=np.float32), explained=(0.1, 0.2)
    )
    limits = HealthLimits(
        min_usage=0.5, min_perplexity=0.3, max_collision_rate=0.9, max_largest_collision=5,
        min_explained=0.3, min_neighbour_lift=1.5,
    )  # fmt: skip
    with pytest.raises(DataError, match="not healthy") as caught:
        check(report, limits)
    for words in ("usage of a level is 0.25 and must be >= 0.5", "perplexity / codes",
                  "collision rate is 1 and must be <= 0.9", "largest collision is 10",
                  "explained variance is 0.2", "neighbours kept / chance is 1", "use more codes",
                  "use fewer codes", "HealthLimits"):  # fmt: skip
        assert words in str(caught.value)
    nothing = HealthLimits(min_usage=None, max_collision_rate=None, min_neighbour_lift=None)
    check(report, nothing)
    check(report, HealthLimits(min_usage=0.25, max_collision_rate=1, max_largest_collision=10))
    healthy = np.array([[i // 4, i % 4] for i in range(16)], np.int32)
    check(measure_codes(healthy, (4, 4)), HealthLimits(min_explained=0.9))  # not measured


def test_tables_of_another_length_are_named() -> None:
    codes = np.zeros((3, 1), np.int32)
    for name in ("vectors", "labels", "counts"):
        with pytest.raises(DataError, match=f"{name} must have a row for each of 3 items; got 2"):
            measure_codes(codes, (1,), **{name: np.zeros((2, 1), np.float32)})


def test_a_report_is_the_same_after_json() -> None:
    x = blobs()
    report = check_health(ResidualKMeans(2, 4).fit(x), x, labels=np.arange(100) % 5)
    again = HealthReport.from_dict(json.loads(json.dumps(report.to_dict())))
    assert repr(again) == repr(report)


@pytest.mark.parametrize("n", [1, 2, 3, 20, 40, 64, 100, 140])
def test_a_small_catalogue_is_told_apart_by_its_first_codes(n: int) -> None:
    """Then later levels have nothing to tell, and no two items share what neighbours could keep."""
    x = np.random.default_rng(n).normal(size=(n, 16)).astype(np.float32)
    report = check_health(ResidualKMeans(3, 64).fit(x), x)
    assert report.collision_rate < 0.5
    assert n in (1, 140) or report.usage[2] < 0.5
    check(report, HealthLimits())


def test_a_later_level_that_could_tell_items_apart_and_does_not_is_refused() -> None:
    """Ten items a family, which the second code leaves alike in four of five."""
    family, own = np.divmod(np.arange(100), 10)
    codes = np.column_stack([family, own // 5, own]).astype(np.int32)
    check(measure_codes(codes, (10, 2, 10)), HealthLimits())
    with pytest.raises(DataError, match=r"usage of a level is 0\.2 "):
        check(measure_codes(codes, (10, 10, 10)), HealthLimits())
