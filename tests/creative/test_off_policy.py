"""Off-policy estimates: by hand, where they agree, whether unbiased, and what they refuse."""

import numpy as np
import pytest

from etalage.creative.beliefs import BetaThompson
from etalage.creative.clicks import Played, Uniform, click_world, filled, play
from etalage.creative.off_policy import doubly_robust, inverse_propensity, self_normalised
from etalage.creative.select import CreativeSelector
from etalage.errors import DataError
from etalage.seeds import generator


def test_four_views_by_hand() -> None:
    clicks, propensities, target = [1, 0, 1, 0], [0.5, 0.5, 0.25, 0.25], [1.0, 1.0, 0.0, 0.5]
    # w = 2, 2, 0, 2; w·click = 2, 0, 0, 0
    ipw = inverse_propensity(clicks, propensities, target)
    assert ipw.value == pytest.approx(0.5)
    assert ipw.high - ipw.value == pytest.approx(1.959964 * 1 / np.sqrt(4))
    assert ipw.effective_views == pytest.approx(36 / 12)
    hajek = self_normalised(clicks, propensities, target)
    assert hajek.value == pytest.approx(1 / 3)
    # residuals w (y - 1/3) / 1.5 = 8/9, -4/9, 0, -4/9
    spread = np.std([8 / 9, -4 / 9, 0, -4 / 9], ddof=1)
    assert hajek.high - hajek.value == pytest.approx(1.959964 * spread / 2)


def test_doubly_robust_by_hand_and_without_a_model() -> None:
    clicks, propensities, shown = [1, 0], [0.5, 0.5], [0, 1]
    target = np.array([[0.8, 0.2], [0.8, 0.2]])
    own = target[[0, 1], shown]
    expected = np.array([[0.5, 0.1], [0.5, 0.1]])
    # direct .42; mends 1.6 · (1 - .5) and .4 · (0 - .1)
    found = doubly_robust(clicks, propensities, own, shown, target, expected)
    assert found.value == pytest.approx(0.42 + (0.8 - 0.04) / 2)
    nothing = doubly_robust(clicks, propensities, own, shown, target, np.zeros((2, 2)))
    assert nothing == pytest.approx(inverse_propensity(clicks, propensities, own))


def test_a_target_that_is_the_log_has_the_logs_mean() -> None:
    rng = generator(1, "log")
    p, y = rng.uniform(0.1, 1, 500), rng.integers(0, 2, 500)
    for estimate in (inverse_propensity, self_normalised):
        found = estimate(y, p, p)
        assert found.value == pytest.approx(y.mean())
        assert found.effective_views == pytest.approx(500)


def test_estimates_are_unbiased_over_all_that_could_have_been_shown() -> None:
    """Two views, three creatives: the mean over all logs, each by its chance, is the truth."""
    chances, truth = np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.4, 0.6])
    target = np.array([0.6, 0.3, 0.1])
    model = np.array([0.3, 0.3, 0.2])
    sums = np.zeros(2)
    for a in range(3):
        for b in range(3):
            for y_a in (0, 1):
                for y_b in (0, 1):
                    shown, y = [a, b], np.array([y_a, y_b])
                    of_clicks = np.where(y == 1, truth[shown], 1 - truth[shown]).prod()
                    weight = chances[shown].prod() * of_clicks
                    ipw = inverse_propensity(y, chances[shown], target[shown])
                    robust = doubly_robust(
                        y, chances[shown], target[shown], shown,
                        np.tile(target, (2, 1)), np.tile(model, (2, 1)),
                    )  # fmt: skip
                    sums += weight * np.array([ipw.value, robust.value])
    assert sums == pytest.approx(np.full(2, target @ truth))


def test_no_clicks_at_all_leave_room_above_zero() -> None:
    found = inverse_propensity(np.zeros(100), np.full(100, 0.5), np.full(100, 1.0))
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(3 * 2 / 100)


def test_a_better_model_makes_the_interval_narrower() -> None:
    world = click_world(3, click_rate=0.3, model_noise=0.0)
    selector = CreativeSelector(Uniform(), cap=1, window_s=1e6)
    filled(selector, world)
    log = play(world, selector, 2000, 5)
    assert log.clicks.mean() > 0.1
    all_target = np.tile(np.eye(8)[0] * 0.5 + 0.5 / 8, (2000, 1))
    target = all_target[np.arange(2000), log.shown]
    given = (log.clicks, log.propensities, target)
    plain = inverse_propensity(*given)
    robust = doubly_robust(*given, log.shown, all_target, world.probabilities[log.contexts])
    assert robust.high - robust.low < plain.high - plain.low
    truth = float(all_target[0] @ world.probabilities[0])
    assert robust.low <= truth <= robust.high


def played(seed: int) -> Played:
    world = click_world(seed)
    selector = CreativeSelector(BetaThompson(), window_s=60)
    filled(selector, world)
    return play(world, selector, 300, seed)


def test_a_run_is_repeated_exactly_and_logged_truly() -> None:
    one, two = played(4), played(4)
    for left, right in zip(vars(one).values(), vars(two).values(), strict=True):
        np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(one.probabilities.sum(axis=1), 1)
    assert one.explored.max() <= 0.2
    assert one.propensities.min() >= 0.005 * (1 - 1e-9)
    assert one.regret.min() >= 0
    assert (one.shown != played(5).shown).any()


@pytest.mark.parametrize(
    ("clicks", "propensities", "target", "said"),
    [
        ([1], [0.5], [1], "two views"),
        ([1, 0], [0.5], [1, 1], "shapes"),
        ([1, 0], [0.5, 0.0], [1, 1], "view 1 .* propensity of 0"),
        ([1, 2], [0.5, 0.5], [1, 1], "clicks holds"),
        ([1, 0], [0.5, 1.5], [1, 1], "propensities holds"),
        ([1, 0], [0.5, 0.5], [-1, 1], "target holds"),
        ([1, np.nan], [0.5, 0.5], [1, 1], "clicks holds"),
    ],
)
def test_bad_logs(
    clicks: list[float], propensities: list[float], target: list[float], said: str
) -> None:
    for estimate in (inverse_propensity, self_normalised):
        with pytest.raises(DataError, match=said):
            estimate(clicks, propensities, target)


def test_bad_models_and_targets() -> None:
    with pytest.raises(DataError, match="nothing that the log shows"):
        self_normalised([1, 0], [0.5, 0.5], [0, 0])
    good = dict(
        clicks=[1, 0], propensities=[0.5, 0.5], target=[0.5, 0.5], shown=[0, 1],
        target_all=np.full((2, 2), 0.5), expected=np.zeros((2, 2)),
    )  # fmt: skip
    for change, said in [
        ({"shown": [0, 2]}, "whole numbers"),
        ({"shown": [0.0, 1.0]}, "whole numbers"),
        ({"target_all": np.ones((2, 2))}, "sum to 1"),
        ({"target": [0.4, 0.5]}, "target is not"),
        ({"expected": np.full((2, 2), np.nan)}, "not finite"),
        ({"expected": np.zeros((2, 3))}, "shape"),
    ]:
        with pytest.raises(DataError, match=said):
            doubly_robust(**(good | change))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a world has"):
        click_world(1, n_creatives=0)
