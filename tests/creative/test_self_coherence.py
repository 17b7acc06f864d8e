"""A controller follows any pipeline's steps, and leaves the transformer as it was."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import HeunDiscreteScheduler
from diffusers.models.attention_processor import AttnProcessor
from tests.creative.small_models import (
    draw_with_flux,
    draw_with_sd3,
    flux,
    pixart,
    sana,
    sd3,
    seeded,
    texts,
)
from torch import Tensor, nn

from etalage.creative.bindings import TokenBinding
from etalage.creative.guidance import Guidance
from etalage.creative.self_coherence import Controller, self_coherence
from etalage.errors import DataError, RecipeError

TWO = (TokenBinding((2,), ((1,),)), TokenBinding((6,), ((5,),)))
ALWAYS = Guidance(start=0.0, least_separation=0.0)


def call(
    model: nn.Module, seed: int = 1, timestep: float = 500, n: int = 2, **given: Any
) -> Tensor:
    """One call of PixArt's or Sana's transformer; the text of row 0 is another prompt."""
    generator = seeded(seed)
    side = model.config.sample_size
    picture = torch.randn(1, 4, side, side, generator=generator).expand(n, -1, -1, -1)
    text = torch.randn(n, 12, 32, generator=seeded(7))
    call = {
        "encoder_hidden_states": text,
        "encoder_attention_mask": torch.ones(n, 12),
        "timestep": torch.full((n,), float(timestep)),
    }
    with torch.no_grad():
        return model(picture, **(call | given), return_dict=False)[0]


def state(model: nn.Module) -> tuple[Any, ...]:
    """All that guidance could leave behind."""
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    forwards = [vars(m).get("forward") for m in model.modules()]
    return hooks, forwards, list(model.attn_processors.items())


@pytest.mark.parametrize("make", [pixart, sana, lambda: sana(qk_norm="rms_norm_across_heads")])
def test_only_rows_of_the_prompt_are_edited(make: Callable[[], nn.Module]) -> None:
    """The first token is an attribute, which the empty prompt has too."""
    model = make()
    first = (TokenBinding((1,), ((0,),)),)
    masks = torch.ones(1, 1, 64 if "Sana" in type(model).__name__ else 16)
    controller = Controller([first], 1, ALWAYS, masks=masks)
    plain = call(model)
    with self_coherence(model, controller):
        guided = call(model)
    assert guided[0].equal(plain[0])
    assert (guided[1] - plain[1]).abs().max() > 1e-3
    alone = Controller([first], 1, ALWAYS, masks=masks)
    text = torch.randn(2, 12, 32, generator=seeded(7))[1:]
    with self_coherence(model, alone):
        row = call(model, n=1, encoder_hidden_states=text)
    torch.testing.assert_close(row[0], guided[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", [pixart, sana])
def test_strength_1_reads_maps_and_edits_nothing(make: Callable[[], nn.Module]) -> None:
    model = make()
    controller = Controller([TWO], 3, Guidance(strength=1, start=0), keeps_record=True)
    steps = [{"seed": n, "timestep": 900 - n} for n in range(3)]
    plain = [call(model, **step) for step in steps]
    with self_coherence(model, controller):
        guided = [call(model, **step) for step in steps]
    assert all(one.equal(other) for one, other in zip(plain, guided, strict=True))
    found = controller.coherence()
    assert found.maps.shape == (1, 3, 2, 64 if make is sana else 16)
    assert (found.maps > 0).all()
    assert found.masks.any(-1).all()
    assert not found.masks.all(-1).any()
    assert not found.edited.any()


def steps_edited(guidance: Guidance, n_steps: int, **given: Any) -> list[int]:
    model = pixart(num_layers=1)
    controller = Controller([TWO], n_steps, guidance, keeps_record=True, **given)
    with self_coherence(model, controller):
        for step in range(n_steps):
            call(model, timestep=step)
    return controller.coherence().edited[0, :, 0].nonzero().flatten().tolist()


def test_steps_from_start_to_stop_are_edited() -> None:
    free = {"least_separation": 0.0}
    assert steps_edited(Guidance(**free), 25) == list(range(2, 25))
    assert steps_edited(Guidance(start=0, **free), 4) == [1, 2, 3], "step 0 has no masks"
    assert steps_edited(Guidance(start=0.07, stop=0.29, **free), 100) == list(range(7, 30))
    assert steps_edited(Guidance(start=1, **free), 4) == []
    masks = torch.ones(1, 2, 16)
    assert steps_edited(Guidance(start=0, stop=0.5), 4, masks=masks) == [0, 1, 2]


def test_an_object_without_a_clear_map_is_left_alone() -> None:
    assert steps_edited(Guidance(start=0, least_separation=1.0), 4) == []
    flat = pixart(num_layers=2)
    with torch.no_grad():
        for block in flat.transformer_blocks:
            block.attn2.to_q.weight.zero_()
            block.attn2.to_q.bias.zero_()
    controller = Controller([TWO], 3, Guidance(start=0), keeps_record=True)
    plain = [call(flat, timestep=step) for step in range(3)]
    with self_coherence(flat, controller):
        guided = [call(flat, timestep=step) for step in range(3)]
    assert not controller.coherence().edited.any()
    assert all(one.equal(other) for one, other in zip(plain, guided, strict=True))


def test_layers_are_chosen() -> None:
    """All layers are read; of two edited ones the sum is not that of all."""
    model, masks = pixart(), torch.ones(1, 2, 16)
    found = {}
    for layers in (None, (0,), (0, 1, 2), (1, 2)):
        guidance = Guidance(start=0, layers=layers)
        with self_coherence(model, Controller([TWO], 1, guidance, masks=masks)):
            found[layers] = call(model)
    assert found[None].equal(found[(0, 1, 2)])
    assert len({tensor.sum().item() for tensor in found.values()}) == 3
    with (
        pytest.raises(RecipeError, match="layers 0 to 2; got"),
        self_coherence(model, Controller([TWO], 1, Guidance(layers=(3,)))),
    ):
        pass


def test_ratio_masks_have_the_area_that_was_asked_for() -> None:
    guidance = Guidance(start=0, mask="ratio")
    controller = Controller([TWO], 1, guidance, ratios=[(0.25, 0.5)], keeps_record=True)
    model = pixart()
    with self_coherence(model, controller):
        call(model)
    assert controller.coherence().masks.sum(-1).tolist() == [[[4, 8]]]


def test_exclusive_masks_share_no_pixel() -> None:
    def masks(is_exclusive: bool) -> Tensor:
        guidance = Guidance(mask="ratio", exclusive=is_exclusive)
        ratios = [(0.75, 0.75)]
        controller = Controller([TWO], 1, guidance, ratios=ratios, keeps_record=True)
        model = pixart()
        with self_coherence(model, controller):
            call(model)
        return controller.coherence().masks[0, 0]

    assert masks(False).all(0).any()
    assert not masks(True).all(0).any()
    assert masks(True).any(1).all()


def test_an_object_that_is_left_alone_takes_no_pixel_from_another() -> None:
    """The parts of its map stand apart less than is asked for, so nothing is edited for it."""
    clear, unclear = TokenBinding((2,), ((1,),)), TokenBinding((10,), ((5,),))

    def masks(*image: TokenBinding) -> Tensor:
        guidance = Guidance(exclusive=True, least_separation=0.7)
        controller = Controller([image], 1, guidance, keeps_record=True)
        model = pixart()
        with self_coherence(model, controller):
            call(model)
        found = controller.coherence()
        assert (found.separation[0, 0] >= 0.7).tolist() == [True, False][: len(image)]
        return found.masks[0, 0]

    both = masks(clear, unclear)
    assert both[0].equal(masks(clear)[0])
    assert not both[1].any()


def test_the_masks_of_a_step_are_used_at_the_next() -> None:
    model = pixart()
    controller = Controller([TWO], 2, ALWAYS, keeps_record=True)
    with self_coherence(model, controller):
        call(model, seed=1, timestep=2)
        second = call(model, seed=2, timestep=1)
    found = controller.coherence().masks
    assert not found[:, 0].equal(found[:, 1])
    with self_coherence(model, Controller([TWO], 1, ALWAYS, masks=found[:, 0])):
        assert call(model, seed=2, timestep=1).equal(second)


@pytest.mark.parametrize(("draw", "make"), [(draw_with_flux, flux), (draw_with_sd3, sd3)])
def test_models_that_mix_text_and_picture(draw: Callable[..., Tensor], make: Any) -> None:
    model = make()
    plain, before = draw(model), state(model)
    same = Controller([TWO], 4, Guidance(strength=1, start=0), keeps_record=True)
    with self_coherence(model, same):
        assert draw(model).equal(plain)
    assert same.coherence().maps.shape == (1, 4, 2, 16)
    assert (same.coherence().maps > 0).all()
    with self_coherence(model, Controller([TWO], 4, ALWAYS)):
        guided = draw(model)
    assert (guided - plain).abs().max() > 1e-4
    with self_coherence(model, Controller([TWO], 4, ALWAYS)):
        assert draw(model).equal(guided)
    assert state(model) == before


def test_true_guidance_of_flux_is_two_calls_of_one_step() -> None:
    """The call with the other prompt is neither counted nor edited."""
    model, calls = flux(), []
    others = {f"negative_{name}": text for name, text in texts(1, seed=6).items()}
    given = {**others, "true_cfg_scale": 3.0}
    masks = torch.ones(1, 2, 16)

    def seen(_: Any, __: Any, kwargs: dict[str, Any], out: Any) -> None:
        calls.append((kwargs["encoder_hidden_states"], out[0].clone()))

    def run(guidance: Guidance) -> list[tuple[Tensor, Tensor]]:
        calls.clear()
        controller = Controller([TWO], 1, guidance, masks=masks, keeps_record=True)
        handle = model.register_forward_hook(seen, with_kwargs=True)
        with self_coherence(model, controller):
            draw_with_flux(model, num_inference_steps=1, **given)
        handle.remove()
        assert controller.coherence().edited.shape == (1, 1, 2)
        return list(calls)

    (_, plain), (text, other) = run(Guidance(strength=1))
    (_, guided), (same_text, same) = run(Guidance(start=0))
    assert text.equal(same_text)
    assert text.equal(others["negative_prompt_embeds"])
    assert other.equal(same)
    assert not plain.equal(guided)


@pytest.mark.parametrize("n", [1, 4])
def test_true_guidance_over_several_steps(n: int) -> None:
    others = {f"negative_{name}": text for name, text in texts(1, seed=6).items()}
    controller = Controller([TWO], n, ALWAYS, keeps_record=True)
    model = flux()
    with self_coherence(model, controller):
        draw_with_flux(model, num_inference_steps=n, true_cfg_scale=3.0, **others)
    assert controller.coherence().edited[0, :, 0].tolist() == [False] + [True] * (n - 1)


def test_skipped_layers_of_sd3_are_calls_of_the_same_step() -> None:
    model = sd3()
    controller = Controller([TWO], 4, ALWAYS, keeps_record=True)
    with self_coherence(model, controller):
        draw_with_sd3(
            model, skip_guidance_layers=[1], skip_layer_guidance_start=0.0,
            skip_layer_guidance_stop=1.0,
        )  # fmt: skip
    assert controller.coherence().edited.shape == (1, 4, 2)


def test_a_scheduler_that_asks_twice_at_one_time_has_two_steps() -> None:
    scheduler = HeunDiscreteScheduler()
    scheduler.set_timesteps(4)
    times = scheduler.timesteps.tolist()
    assert len(times) == 7
    assert len(set(times)) == 4
    model = pixart(num_layers=1)
    controller = Controller([TWO], len(times), ALWAYS, keeps_record=True)
    with self_coherence(model, controller):
        for n, time in enumerate(times):
            call(model, seed=n, timestep=time)
    assert controller.coherence().edited[0, :, 0].tolist() == [False] + [True] * 6


def test_a_batch_is_its_rows() -> None:
    """Images with two objects, one and none; each row is what it is alone."""
    one = (TokenBinding((6, 7), ((4, 5), (9,))),)
    model, text = pixart(), torch.randn(6, 12, 32, generator=seeded(9))
    pictures = torch.randn(3, 4, 8, 8, generator=seeded(4))

    def run(rows: list[int], bindings: list[Any]) -> Tensor:
        controller = Controller(bindings, 3, ALWAYS)
        picture = pictures[rows]
        both = torch.cat([text[rows], text[[3 + row for row in rows]]])
        with self_coherence(model, controller):
            for step in range(3):
                given = {
                    "encoder_hidden_states": both,
                    "encoder_attention_mask": torch.ones(len(both), 12),
                    "timestep": torch.full((len(both),), 900.0 - step),
                }
                with torch.no_grad():
                    out = model(torch.cat([picture, picture]), **given, return_dict=False)[0]
                picture = picture + out.chunk(2)[1][:, :4]
        return picture

    together = run([0, 1, 2], [TWO, one, ()])
    for row, image in ((0, TWO), (1, one)):
        torch.testing.assert_close(together[row], run([row], [image])[0], atol=1e-4, rtol=1e-4)
    other = run([0, 2], [TWO, ()])
    torch.testing.assert_close(together[2], other[1], atol=1e-4, rtol=1e-4)


def test_everything_is_put_back_after_an_exception() -> None:
    model = pixart()
    before = state(model)
    broken = Controller([TWO], 3, ALWAYS)

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    handle = model.transformer_blocks[1].attn2.to_v.register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt), self_coherence(model, broken):
        call(model)
    handle.remove()
    assert state(model) == before
    assert torch.overrides._get_current_function_mode() is None
    call(model)


def test_attention_of_another_kind_is_refused_at_the_first_step() -> None:
    model = pixart()
    model.transformer_blocks[1].attn2.set_processor(AttnProcessor())
    before = state(model)
    with (
        pytest.raises(RecipeError, match=r"AttnProcessor called .* 0 times"),
        self_coherence(model, Controller([TWO], 50)),
    ):
        call(model)
    assert state(model) == before


def test_another_backend_of_diffusers_is_refused_and_the_advice_helps() -> None:
    """A backend that was set stays the active one of the process, whatever is reset."""
    model = flux()
    plain = draw_with_flux(model)
    try:
        model.set_attention_backend("flex")
        with (
            pytest.raises(RecipeError, match=r"set_attention_backend\('native'\)"),
            self_coherence(model, Controller([TWO], 4)),
        ):
            draw_with_flux(model)
    finally:
        model.set_attention_backend("native")
    with self_coherence(model, Controller([TWO], 4, ALWAYS)):
        assert not draw_with_flux(model).equal(plain)
    assert draw_with_flux(model).equal(plain)


def test_what_is_kept_is_small() -> None:
    """At 1024 px a picture has 4096 tokens; kept are two maps and two masks of it."""
    model = pixart(sample_size=128, num_layers=2, use_additional_conditions=False)
    controller = Controller([TWO], 3, ALWAYS)
    kept = []

    def look(*_: Any) -> None:
        own = [part for part in gc.get_referents(vars(controller)) if isinstance(part, Tensor)]
        chosen = controller.chosen
        own += [getattr(chosen, name) for name in chosen.__slots__]
        own = [part for part in own if part is not controller._text]  # the pipeline's own
        kept.append(sum(part.untyped_storage().nbytes() for part in own))

    model.transformer_blocks[1].register_forward_hook(look)
    with self_coherence(model, controller):
        for step in range(3):
            call(model, timestep=step)
            look()
    assert controller.grid == (64, 64)
    assert 32_768 < max(kept) <= 64_000


@pytest.mark.parametrize(
    ("guidance", "message"),
    [
        ({"strength": -1}, "strength is a finite"),
        ({"strength": float("inf")}, "strength is a finite"),
        ({"suppress": float("nan")}, "suppress is a finite"),
        ({"start": 0.5, "stop": 0.4}, "start <= stop"),
        ({"stop": 1.1}, "start <= stop"),
        ({"mask": "otsu"}, "two_means' or 'ratio'"),
        ({"layers": ()}, "numbers from 0"),
        ({"layers": (-1,)}, "numbers from 0"),
        ({"least_separation": 2}, "in 0 to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(guidance: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Guidance(**guidance)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"bindings": [(), ()]}, DataError, "nothing is bound"),
        ({"bindings": []}, DataError, "nothing is bound"),
        ({"bindings": [(TokenBinding((), ((1,),)),)]}, DataError, "names tokens"),
        ({"bindings": [(TokenBinding((-1,), ((1,),)),)]}, DataError, "names tokens"),
        ({"n_steps": 0}, RecipeError, "at least one step"),
        ({"masks": torch.ones(1, 3, 16)}, DataError, "1 images x 2 objects"),
        ({"masks": torch.ones(4, 4)}, DataError, r"rows x columns; got \(4, 4\)"),
        ({"ratios": [(0.1, 0.2)]}, RecipeError, "ratios go with mask='ratio'"),
        ({"guidance": Guidance(mask="ratio")}, RecipeError, "ratios go with mask='ratio'"),
        (
            {"guidance": Guidance(mask="ratio"), "ratios": [(0.1,)]},
            DataError,
            r"ratio for each object, \[2\] by image; got \[1\]",
        ),
        (
            {"guidance": Guidance(mask="ratio"), "ratios": [(0.1, 1.5)]},
            DataError,
            "above 0 to 1",
        ),
    ],
)
def test_bindings_that_do_not_fit_are_refused(given: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Controller(**({"bindings": [TWO], "n_steps": 4} | given))


def test_a_run_that_is_not_the_one_it_was_made_for_is_refused() -> None:
    model = pixart()

    def run(controller: Controller, n_steps: int = 1, **given: Any) -> None:
        with self_coherence(model, controller):
            for step in range(n_steps):
                call(model, timestep=step, **given)

    with pytest.raises(DataError, match="of 2 images, and the transformer got 3 rows"):
        run(Controller([TWO, TWO], 1), n=3)
    with pytest.raises(DataError, match="names token 12, and the text has 12"):
        run(Controller([(TokenBinding((12,), ((1,),)),)], 1))
    with pytest.raises(DataError, match="masks are of 9 pixels, and the picture has 16"):
        run(Controller([TWO], 1, Guidance(start=0), masks=torch.ones(1, 2, 9)))
    with pytest.raises(RecipeError, match="step 3 of 2; count the scheduler's timesteps"):
        run(Controller([TWO], 2), n_steps=3)
    used = Controller([TWO], 2)
    run(used)
    with pytest.raises(RecipeError, match="follows one run"):
        run(used)
    with pytest.raises(RecipeError, match="keeps_record=True"):
        used.coherence()
