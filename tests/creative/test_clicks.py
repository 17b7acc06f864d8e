"""The world of clicks: late creatives, regret against what is there, and clicks that come true."""

import numpy as np
import pytest

from etalage.creative.beliefs import BetaThompson
from etalage.creative.clicks import Greedy, Uniform, click_world, filled, play
from etalage.creative.linear import LinearThompson
from etalage.creative.select import CreativeSelector


def test_late_creatives_come_at_even_distances_and_are_shown() -> None:
    world = click_world(2, n_creatives=4)
    selector = CreativeSelector(LinearThompson(6), cap=1, floor=0.1, window_s=10)
    filled(selector, world, n_late=2)
    log = play(world, selector, 300, 1)
    assert (log.probabilities[:100, 2:] == 0).all()
    assert (log.probabilities[100:200, 2] > 0).all()
    assert (log.probabilities[100:200, 3] == 0).all()
    assert set(log.shown[200:]) == {0, 1, 2, 3}
    best_there = np.repeat([world.probabilities[0, :n].max() for n in (2, 3, 4)], 100)
    np.testing.assert_allclose(log.regret, best_there - world.probabilities[0, log.shown])


def test_clicks_come_as_often_as_the_world_says_less_those_too_late() -> None:
    """An exponential delay of mean 20 passes a window of 20 with probability 1/e."""
    world = click_world(1, click_rate=0.4, n_contexts=3)
    selector = CreativeSelector(Uniform(), cap=1, window_s=20)
    filled(selector, world)
    log = play(world, selector, 4000, 1)
    expected = world.probabilities[log.contexts, log.shown] * (1 - np.exp(-1))
    spread = np.sqrt((expected * (1 - expected)).sum())
    assert abs(log.clicks.sum() - expected.sum()) <= 5 * spread


def test_what_the_selector_learnt_is_what_was_settled() -> None:
    world = click_world(1, click_rate=0.4)
    belief = BetaThompson()
    selector = CreativeSelector(belief, window_s=20)
    filled(selector, world)
    log = play(world, selector, 400, 1)
    selector.settle(1e9)
    for k, name in enumerate(world.names):
        assert belief.views[name] == (log.shown == k).sum()
        assert belief.clicks[name] == log.clicks[log.shown == k].sum() > 0 or not belief.views[name]


def test_uniform_and_greedy_are_what_they_say() -> None:
    world = click_world(5)
    for belief, cap, expected in [(Uniform(), 1.0, 1 / 8), (Greedy(), 0.2, 1.0)]:
        selector = CreativeSelector(belief, cap=cap, floor=1e-9, window_s=10)
        filled(selector, world)
        assert play(world, selector, 50, 1).propensities == pytest.approx(expected)
