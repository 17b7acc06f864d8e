"""Does the judge read what was drawn, and nothing else?"""

import numpy as np
import pytest
from PIL import Image

from etalage.creative.pretrained_judges import judge_in
from etalage.creative.shapes.judge import FOUND, ShapeJudge, read
from etalage.creative.shapes.pictures import (
    PAPER,
    SIDE,
    TASKS,
    Pairs,
    all_pairs,
    draw,
    layouts,
    sample,
)
from etalage.errors import DataError
from etalage.seeds import generator

RED_CIRCLE: Pairs = (("red", "circle"), ("blue", "square"))


def exchanged(pairs: Pairs) -> Pairs:
    (one, first), (other, second) = pairs
    return ((other, first), (one, second))


@pytest.mark.parametrize("task", TASKS)
def test_everything_that_can_be_drawn_is_read_exactly(task: str) -> None:
    rng = generator(1, task)
    for pairs in all_pairs(task):
        n_layouts = len(layouts(task, (pairs[0][1], pairs[1][1])))
        reading = read(draw(pairs, int(rng.integers(n_layouts))), pairs)
        assert (reading.is_bound, reading.overlap) == (True, 1), pairs


@pytest.mark.parametrize("task", TASKS)
def test_exchanged_attributes_are_told_from_bound_ones(task: str) -> None:
    for pairs in all_pairs(task):
        reading = read(draw(exchanged(pairs), 2), pairs)
        assert (reading.is_found, reading.is_exchanged, reading.is_bound) == (True, True, False)


@pytest.mark.parametrize("task", TASKS)
def test_noise_on_the_pixels_changes_no_reading(task: str) -> None:
    rng = generator(1, "noise", task)
    for pairs in all_pairs(task)[:24]:
        clean = draw(pairs, 3).astype(float)
        noisy = np.clip(clean + rng.normal(0, 12, clean.shape), 0, 255).astype(np.uint8)
        reading = read(noisy, pairs)
        assert reading.is_bound, pairs
        assert reading.overlap > 0.95, pairs


def test_a_missing_object_is_not_found() -> None:
    picture = draw(RED_CIRCLE, 0)
    _, second = layouts("coarse", ("circle", "square"))[0]
    without_square = np.where(second[..., None], PAPER, picture).astype(np.uint8)
    assert not read(without_square, RED_CIRCLE).is_found
    assert read(picture, RED_CIRCLE).overlap > FOUND > 0.5


def test_an_empty_picture_has_nothing() -> None:
    empty = np.full((SIDE, SIDE, 3), PAPER, np.uint8)
    reading = read(empty, RED_CIRCLE)
    assert (reading.overlap, reading.is_found) == (0, False)
    verdict = ShapeJudge().check(Image.fromarray(empty), RED_CIRCLE)
    assert set(verdict.scores.values()) == {0.0}


def test_the_judge_scores_each_pair() -> None:
    picture = draw((("red", "circle"), ("green", "square")), 9)
    verdict = ShapeJudge().check(Image.fromarray(picture), RED_CIRCLE)
    assert verdict.scores == {("red", "circle"): 1.0, ("blue", "square"): 0.0}
    assert (verdict.accepted, verdict.worst) == (False, ("blue", "square"))


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ((("red", "circle"), ("blue", "circle")), "no task draws"),
        ((("striped", "circle"), ("blue", "square")), "no task draws"),
        ((("red", "house"), ("blue", "square")), "no task draws"),
    ],
)
def test_what_no_task_draws_is_refused(pairs: Pairs, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(np.zeros((SIDE, SIDE, 3), np.uint8), pairs)


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected a picture \(24, 24, 3\); got \(64, 64, 3\)"):
        read(np.zeros((64, 64, 3), np.uint8), RED_CIRCLE)


def test_captions_are_exchanged_as_often_as_asked() -> None:
    drawn = sample(generator(1), exchanged=0.35)
    pictures = [next(drawn) for _ in range(2000)]
    wrong = [p.caption.split()[1] != p.shows[0][0] for p in pictures]
    assert 0.31 < np.mean(wrong) < 0.39
    assert {p.task for p in pictures} == set(TASKS)
    # what is shown is what is drawn, whatever the caption says
    assert all(read(p.pixels, p.shows).is_bound for p in pictures[:50])


def test_pairs_may_come_in_any_order() -> None:
    asked: Pairs = (("red", "circle"), ("blue", "stem"))
    verdict = ShapeJudge().check(Image.fromarray(draw(asked, 1)), asked[::-1])
    assert verdict.scores == {("red", "circle"): 1.0, ("blue", "stem"): 1.0}


def test_the_threshold_is_that_which_was_asked_for() -> None:
    picture = Image.fromarray(draw((("green", "circle"), ("blue", "square")), 1))
    lax = judge_in("shapes", threshold=0.0)
    assert lax.check(picture, RED_CIRCLE).accepted
    assert not judge_in("shapes").check(picture, RED_CIRCLE).accepted
    assert lax.fingerprint != judge_in("shapes").fingerprint
