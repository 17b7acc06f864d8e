"""Does the measure of guidance see what is there, and does the toy that comes along show it?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from etalage.cli.main import app
from etalage.creative.maker import open_pipeline
from etalage.creative.shapes.behaviour import (
    GRID,
    WAYS,
    Behaviour,
    Change,
    Drawing,
    Readings,
    behave,
)
from etalage.creative.shapes.judge import read
from etalage.creative.shapes.pictures import (
    CELL,
    TASKS,
    TRAINED,
    Pairs,
    all_pairs,
    draw,
    layouts,
)
from etalage.errors import RecipeError


class Drawer:
    """Stands for a pipeline: draws each prompt at a layout of its own, bound for even rows."""

    def __init__(self, task: str, points_right: bool = True) -> None:
        self.task, self.points_right = task, points_right
        self.calls: list[dict[str, Any]] = []
        self.masks = torch.zeros(0)

    def __call__(self, prompts: list[str], **call: Any) -> Any:
        self.calls.append(call)
        images, maps = [], []
        for row, pairs in enumerate(call["bindings"]):
            nouns = (pairs[0][1], pairs[1][1])
            shown: Pairs = (pairs[0], pairs[1])
            if row % 2 and "scg_masks" not in call:
                shown = ((pairs[1][0], nouns[0]), (pairs[0][0], nouns[1]))
            places = layouts(self.task, nouns)
            images.append(draw(shown, row % len(places)) / 255)
            cells = places[row % len(places)].reshape(2, GRID, CELL, GRID, CELL).mean((2, 4))
            maps.append(cells if self.points_right else cells[::-1])
        steps = call["num_inference_steps"]
        found = torch.tensor(np.array(maps), dtype=torch.float32)[:, None].expand(
            -1, steps, -1, -1, -1
        )

        self.masks = found > 0

        class Coherence:
            maps = found
            masks = found > 0

        class Drawn:
            coherence = Coherence

        Drawn.images = np.array(images)  # type: ignore[attr-defined]
        return Drawn


@pytest.mark.parametrize("task", TASKS)
def test_what_each_way_is_given(task: str) -> None:
    drawer = Drawer(task)
    found = behave(drawer, task, 10, Drawing(n_steps=4))
    calls = dict(zip(WAYS, drawer.calls, strict=True))
    assert calls["plain"]["scg_start"] == 1.0
    assert "scg_masks" not in calls["guided"]
    assert calls["guided"]["bindings"] == calls["plain"]["bindings"]
    for plain, exchanged in zip(
        calls["plain"]["bindings"], calls["exchanged"]["bindings"], strict=True
    ):
        (one, first), (other, second) = plain
        assert exchanged == [(other, first), (one, second)]
    # as many places as the guided way edits, and other ones
    anywhere = calls["random"]["scg_masks"]
    assert torch.equal(anywhere.sum((2, 3)), drawer.masks[:, 2].sum((2, 3)))
    assert not torch.equal(anywhere, calls["oracle"]["scg_masks"])
    # every way has the same noise
    noise = [[g.initial_seed() for g in call["generator"]] for call in drawer.calls]
    assert all(each == noise[0] for each in noise)
    assert found.ways["plain"].bound.tolist() == [row % 2 == 0 for row in range(10)]
    assert found.ways["oracle"].bound.all()
    assert (found.change("oracle").fixed, found.change("oracle").broken) == (5, 0)


@pytest.mark.parametrize("points_right", [True, False])
def test_the_premise_is_measured(points_right: bool) -> None:
    found = behave(Drawer("coarse", points_right), "coarse", 6, Drawing(n_steps=3), ways=())
    assert found.points_right.tolist() == [[float(points_right)] * 2] * 3


def test_a_part_that_is_missing_is_not_bound() -> None:
    pairs: Pairs = (("red", "circle"), ("blue", "square"))
    picture = draw(pairs, 0)
    picture[layouts("coarse", ("circle", "square"))[0, 1]] = 255
    readings = Readings.of([read(picture, pairs), read(draw(pairs, 0), pairs)])
    assert readings.found.tolist() == [False, True]
    assert readings.bound.tolist() == [False, True]


def test_changes_are_counted_by_picture() -> None:
    def readings(bound: list[int]) -> Readings:
        flags = np.array(bound, bool)
        return Readings(flags | True, flags, ~flags, np.ones(len(bound)))

    found = Behaviour(
        {"plain": readings([1, 1, 0, 0, 0]), "guided": readings([1, 0, 1, 1, 0])}, np.ones((2, 2))
    )
    assert found.change("guided") == Change(n=5, fixed=2, broken=1)
    assert found.change("guided").points == pytest.approx(20)
    assert found.change("plain").p == 1


def test_chances_are_those_of_a_fair_coin() -> None:
    assert Change(100, 10, 0).p == pytest.approx(2 * 0.5**10)
    assert Change(100, 5, 5).p == 1
    # the interval of a mean of -1, 0 and 1
    differences = np.array([1] * 29 + [-1] * 9 + [0] * 162)
    expected = 1.96 * 100 * differences.std() / 200**0.5
    assert Change(200, 29, 9).margin == pytest.approx(expected)


@pytest.fixture(scope="module")
def toy() -> Any:
    return open_pipeline(TRAINED)


@pytest.mark.parametrize("task", TASKS)
def test_the_toy_draws_what_it_is_asked(toy: Any, task: str) -> None:
    found = behave(toy, task, 32, Drawing(n_steps=12), ways=("oracle",))
    assert found.ways["plain"].found.mean() > 0.8
    # a third of its captions were wrong, and the edit has a grip on what it binds
    assert found.ways["plain"].exchanged.mean() > 0.05
    assert found.change("oracle").fixed >= found.change("oracle").broken


def test_the_card_says_what_the_toy_was_made_of() -> None:
    card = (TRAINED / "README.md").read_text(encoding="utf-8")
    assert "Planted error: 35%" in card
    assert "Licence" in card
    assert sum(path.stat().st_size for path in TRAINED.rglob("*")) < 4 * 2**20


def test_bench_prints_every_way(tmp_path: Path) -> None:
    asked = ["creative", "bench", "--task", "coarse", "-n", "3", "--steps", "3"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    for way in WAYS:
        assert way in result.output


def test_bench_names_the_tasks_there_are() -> None:
    result = CliRunner().invoke(app, ["creative", "bench", "--task", "course"])
    assert result.exit_code == 1
    assert "did you mean 'coarse'" in result.output


def test_every_prompt_can_be_asked_for() -> None:
    assert {len(all_pairs(task)) for task in TASKS} == {144}


def test_ways_bring_along_what_they_are_measured_by() -> None:
    """As many places as the guided way edits are edited anywhere, so that one comes first."""
    found = behave(Drawer("coarse"), "coarse", 2, Drawing(2), ways=("random",))
    assert list(found.ways) == ["plain", "guided", "random"]
    with pytest.raises(RecipeError, match="no way 'backwards'; choose of plain, guided"):
        behave(Drawer("coarse"), "coarse", 2, Drawing(2), ways=("backwards",))
