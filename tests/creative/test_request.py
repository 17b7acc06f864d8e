"""A request: what is asked, and that everything a picture depends on is in its key."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from tests.creative.drawing import PAIRS, PROMPT, Painter

from etalage.creative.guidance import Guidance
from etalage.creative.maker import Maker
from etalage.creative.request import Request
from etalage.errors import CapacityError, DataError, RecipeError

ASKED = Request(PROMPT, PAIRS, Guidance())
OTHER: dict[str, Any] = {
    "prompt": PROMPT + " ", "pairs": PAIRS[:1], "guidance": Guidance(strength=2.0),
    "shares": (("mug", 0.2),), "negative_prompt": "text", "seed": 1, "width": 64, "height": 64,
    "n_steps": 21, "guidance_scale": 4.0,
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in fields(Request)])
def test_every_field_of_a_request_is_in_its_key(name: str) -> None:
    maker = Maker.of(Painter())
    other = replace(ASKED, **{name: OTHER[name]})
    assert other.key(maker) != ASKED.key(maker)
    assert replace(other, **{name: getattr(ASKED, name)}).key(maker) == ASKED.key(maker)


@pytest.mark.parametrize("name", [field.name for field in fields(Guidance)])
def test_every_setting_of_the_guidance_is_in_the_key(name: str) -> None:
    values = {"strength": 2.0, "start": 0.1, "stop": 0.9, "mask": "ratio", "layers": (0,),
              "renormalize": True, "suppress": 0.5, "exclusive": True,
              "least_separation": 0.6}  # fmt: skip
    maker = Maker.of(Painter())
    other = replace(ASKED, guidance=Guidance(**{name: values[name]}))
    assert other.key(maker) != ASKED.key(maker)


@pytest.mark.parametrize("name", [field.name for field in fields(Maker)])
def test_everything_that_makes_a_picture_is_in_its_key(name: str) -> None:
    maker = Maker.of(Painter())
    other = {"x": 1} if isinstance(getattr(maker, name), dict) else "other"
    assert ASKED.key(replace(maker, **{name: other})) != ASKED.key(maker)


def test_one_weight_more_or_less_is_another_maker() -> None:
    first, second = Painter(), Painter()
    assert Maker.of(first) == Maker.of(second)
    with torch.no_grad():
        second.components["net"].bias[1] += 1e-6
    assert Maker.of(first) != Maker.of(second)
    half = Painter()
    half.components["net"].half()
    assert Maker.of(half).weights != Maker.of(first).weights


def test_settings_are_those_that_the_pipeline_takes() -> None:
    maker = Maker.of(Painter(), {"brightness": 0.5})
    assert maker.settings == {"brightness": 0.5}
    with pytest.raises(RecipeError, match="did you mean 'brightness'"):
        Maker.of(Painter(), {"brightnes": 0.5})
    for name in ("prompt", "generator", "bindings", "scg_strength", "return_masks"):
        with pytest.raises(RecipeError, match=f"{name} belongs to each request"):
            Maker.of(Painter(), {name: 1})
    with pytest.raises(RecipeError, match="a text, a number or a truth value"):
        Maker.of(Painter(), {"brightness": [1]})


def test_weights_that_are_elsewhere_cannot_be_told() -> None:
    painter = Painter()
    painter.components["net"] = torch.nn.Linear(2, 2, device="meta")
    with pytest.raises(CapacityError, match="not in memory"):
        Maker.of(painter)


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"prompt": " "}, DataError, "a text with a word"),
        ({"pairs": (("green", "mug"),)}, DataError, "does not say 'green' of 'mug'"),
        ({"pairs": (("red", "mug", "bowl"),)}, DataError, "pair of texts"),
        ({"prompt": "a b", "pairs": ("ab",)}, DataError, "pair of texts"),
        ({"pairs": ()}, RecipeError, "no pair is given"),
        ({"guidance_scale": float("nan")}, RecipeError, "a number for guidance_scale"),
        ({"seed": -1}, RecipeError, "seed of at least 0"),
        ({"n_steps": 0}, RecipeError, "n_steps of at least 1"),
        ({"width": 0}, RecipeError, "width of at least 1"),
        ({"height": 1.5}, RecipeError, "height of at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_told_at_once(
    wrong: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        replace(ASKED, **wrong)


def test_tries_are_other_seeds_and_then_stronger_guidance() -> None:
    tries = ASKED.tries(6)
    assert tries[0] == ASKED
    assert len({attempt.seed for attempt in tries[:4]}) == 4
    assert [attempt.seed for attempt in tries[4:]] == [attempt.seed for attempt in tries[:2]]
    strengths = [attempt.guidance.strength for attempt in tries if attempt.guidance]
    assert strengths == [4, 4, 4, 4, 6, 6]
    assert ASKED.tries(3) == (*tries[:2], tries[4])
    assert ASKED.tries(1) == (ASKED,)
    plain = replace(ASKED, guidance=None).tries(6)
    assert len({attempt.seed for attempt in plain}) == 6
    with pytest.raises(RecipeError, match="at least 1 try"):
        ASKED.tries(0)


def test_tries_of_neighbouring_seeds_do_not_meet() -> None:
    """Else two pictures that were asked for apart could end as the same one."""
    seeds = [
        attempt.seed
        for first in range(50)
        for attempt in replace(ASKED, guidance=None, seed=first).tries(6)
    ]
    assert len(set(seeds)) == len(seeds)


def test_guidance_that_weakens_is_not_made_weaker() -> None:
    asked = Request("a red mug", (("red", "mug"),), Guidance(strength=0.5))
    attempts = asked.tries(6)
    assert {one.guidance for one in attempts} == {asked.guidance}
    assert len({one.seed for one in attempts}) == 6
