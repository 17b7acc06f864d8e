"""The health of ids, on codes whose figures are known."""

import json

import numpy as np
import pytest

from etalage.tokenize.health import check_health
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
