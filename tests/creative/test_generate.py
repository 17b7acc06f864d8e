"""From request to creative: looked up, judged, tried again, and resumed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.creative.drawing import PAIRS, PROMPT, Painter, Reader

from etalage.creative.generate import Generator, Outcome, Tally
from etalage.creative.guidance import Guidance
from etalage.creative.request import Request
from etalage.creative.store import CreativeStore
from etalage.errors import CapacityError, RecipeError

ASKED = [Request(PROMPT, PAIRS, Guidance(), seed=seed, n_steps=3) for seed in range(12)]


def tallied(outcomes: list[Outcome]) -> Tally:
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    return tally


@pytest.fixture
def store(tmp_path: Path) -> CreativeStore:
    return CreativeStore(tmp_path / "store")


def test_the_judge_refuses_and_another_try_is_accepted(store: CreativeStore) -> None:
    painter, judge = Painter(), Reader()
    outcomes = list(Generator(painter, store, judge, n_tries=6).generate(ASKED))
    assert [outcome.request for outcome in outcomes] == ASKED
    assert all(outcome.accepted for outcome in outcomes)
    counts = [outcome.n_images for outcome in outcomes]
    assert 1 in counts
    assert max(counts) > 1
    for outcome in outcomes:
        assert judge.check(outcome.creative.image(), PAIRS).accepted
    tally = tallied(outcomes)
    assert tally.n_images == tally.n_made == len(painter.asked) == sum(counts)
    assert tally.images_per_accepted == pytest.approx(sum(counts) / 12)


def test_stronger_guidance_comes_last(store: CreativeStore) -> None:
    painter = Painter(enough=6.0)
    hard = next(
        request
        for request in ASKED
        if not Generator(painter, store, Reader(), n_tries=2).one(request).accepted
    )
    painter.asked.clear()
    outcome = Generator(painter, store, Reader(), n_tries=3).one(hard)
    assert outcome.accepted
    assert outcome.creative.request["guidance"]["strength"] == 6.0
    assert [asked["strength"] for asked in painter.asked] == [6.0]
    assert (outcome.n_images, outcome.n_made) == (3, 1)


def test_where_none_is_accepted_the_best_is_kept(store: CreativeStore) -> None:
    painter = Painter(enough=1e9)
    outcomes = list(Generator(painter, store, Reader(), n_tries=2).generate(ASKED))
    refused = [outcome for outcome in outcomes if not outcome.accepted]
    assert refused
    assert all(outcome.n_images == 2 for outcome in refused)
    assert tallied(refused).images_per_accepted is None


def test_a_second_run_makes_nothing(store: CreativeStore) -> None:
    first = list(Generator(Painter(), store, Reader()).generate(ASKED))
    painter, judge = Painter(), Reader()
    again = list(Generator(painter, store, judge).generate(ASKED))
    assert painter.asked == []
    assert judge.n_looks == 0
    assert [o.creative.key for o in again] == [o.creative.key for o in first]
    assert [o.verdict for o in again] == [o.verdict for o in first]
    assert tallied(again).n_made == 0
    assert tallied(again).images_per_accepted == tallied(first).images_per_accepted


def test_what_was_killed_goes_on(store: CreativeStore, tmp_path: Path) -> None:
    whole = list(Generator(Painter(), CreativeStore(tmp_path / "whole"), Reader()).generate(ASKED))
    stopped = Painter()
    stopped.fails_after = 7
    with pytest.raises(KeyboardInterrupt):
        list(Generator(stopped, store, Reader()).generate(ASKED))
    painter = Painter()
    outcomes = list(Generator(painter, store, Reader()).generate(ASKED))
    assert len(painter.asked) == tallied(whole).n_images - 7
    assert [o.creative.sha256 for o in outcomes] == [o.creative.sha256 for o in whole]


def test_a_damaged_picture_is_made_anew(store: CreativeStore) -> None:
    first = Generator(Painter(), store).one(ASKED[0])
    first.creative.picture.write_bytes(b"\x89PNG")
    again = Generator(Painter(), store).one(ASKED[0])
    assert again.n_made == 1
    assert again.creative.sha256 == first.creative.sha256


def test_without_a_judge_the_first_picture_is_taken(store: CreativeStore) -> None:
    outcomes = list(Generator(Painter(), store).generate(ASKED))
    assert all(o.accepted and o.verdict is None and o.n_images == 1 for o in outcomes)


def test_what_is_not_bound_is_not_judged(store: CreativeStore) -> None:
    painter, judge = Painter(), Reader()
    outcome = Generator(painter, store, judge).one(Request(PROMPT))
    assert outcome.verdict is None
    assert judge.n_looks == 0
    assert painter.asked[0]["bindings"] is None
    assert outcome.creative.coherence() == {}


def test_what_nobody_judged_makes_nothing_cheaper(store: CreativeStore) -> None:
    outcomes = [Generator(Painter(), store, Reader(), n_tries=6).one(each) for each in ASKED]
    tally, mixed = tallied(outcomes), tallied(outcomes)
    for seed in range(9):
        mixed.add(Generator(Painter(), store, Reader()).one(Request(PROMPT, seed=seed)))
    assert mixed.images_per_accepted == tally.images_per_accepted
    assert (mixed.n_accepted, mixed.n_shown) == (tally.n_accepted, tally.n_shown + 9)
    assert mixed.n_requests == mixed.n_judged + 9


def test_masks_are_kept_beside_the_picture(store: CreativeStore) -> None:
    told = Generator(Painter(), store).one(ASKED[0]).creative.coherence()
    assert told["masks"].shape == (3, 2, 4, 4)
    assert told["masks"].dtype == bool
    assert told["objects"].tolist() == ["mug", "bowl"]
    assert np.array_equal(told["edited"], np.ones((3, 2), dtype=bool))


def test_settings_reach_the_pipeline_and_the_key(store: CreativeStore) -> None:
    bright = Generator(Painter(), store).one(ASKED[0])
    dark = Generator(Painter(), store, settings={"brightness": 0.5}).one(ASKED[0])
    assert dark.n_made == 1
    assert np.asarray(dark.creative.image()).min() < np.asarray(bright.creative.image()).min()
    with pytest.raises(RecipeError, match="takes no 'colour'"):
        Generator(Painter(), store, settings={"colour": 1})


def test_one_request_is_the_same_picture_beside_any_other(
    store: CreativeStore, tmp_path: Path
) -> None:
    other = CreativeStore(tmp_path / "other")
    alone = Generator(Painter(), other).one(ASKED[5])
    together = list(Generator(Painter(), store).generate(ASKED))[5]
    assert together.creative.sha256 == alone.creative.sha256


def test_a_device_without_memory_says_what_to_do(
    store: CreativeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Painter, **asked: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    generator = Generator(Painter(), store)
    monkeypatch.setattr(Painter, "__call__", full)
    with pytest.raises(CapacityError, match="ask for a smaller one"):
        generator.one(replace(ASKED[0], width=4096, height=4096))
