"""Pipelines draw what their parents draw, and, with bindings, what the published loop would."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    HeunDiscreteScheduler,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    SanaPipeline,
)
from PIL import Image
from tests.creative.published import written_out
from tests.creative.small_models import (
    CALL,
    EAGER,
    LATENT,
    PAIRS,
    PROMPT,
    SANA_CALL,
    TOKENS,
    drawn,
    pixart_parts,
    pixart_pipeline,
    quiet,
    sana_pipeline,
    seeded,
)

from etalage.creative.bindings import TokenBinding
from etalage.creative.coherence import Coherence
from etalage.creative.guidance import Guidance
from etalage.creative.pipelines import (
    SelfCoherencePixArtPipeline,
    SelfCoherencePixArtSigmaPipeline,
    SelfCoherenceSanaPipeline,
)
from etalage.errors import DataError, EtalageError, RecipeError


@pytest.mark.parametrize("given", [{}, {"bindings": None}, {"bindings": []},
                                   {"bindings": PAIRS, "scg_strength": 1.0}])  # fmt: skip
def test_pixart_without_guidance_is_its_parent_to_the_bit(given: dict[str, Any]) -> None:
    parent = quiet(PixArtAlphaPipeline(**pixart_pipeline().components))
    assert drawn(**given).equal(parent(PROMPT, generator=seeded(), **LATENT).images)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"bindings": PAIRS, "scg_strength": 1.0},
        {"bindings": PAIRS, "scg_start": 1.0, "return_masks": True},
    ],
)
def test_sana_without_guidance_is_its_parent_to_the_bit(given: dict[str, Any]) -> None:
    parent = quiet(SanaPipeline(**sana_pipeline().components))
    own = sana_pipeline()(PROMPT, generator=seeded(), **SANA_CALL, **given)
    assert own.images.equal(parent(PROMPT, generator=seeded(), **SANA_CALL).images)


def test_looking_changes_nothing() -> None:
    seen = pixart_pipeline()(
        PROMPT, bindings=PAIRS, scg_strength=1.0, return_masks=True, generator=seeded(), **LATENT
    )
    assert seen.images.equal(drawn())
    assert not seen.coherence.edited.any()


def test_guided_is_the_published_loop_written_out() -> None:
    n_steps = 8
    guided = drawn(bindings=PAIRS, num_inference_steps=n_steps, **EAGER)
    written = written_out(n_steps, strength=4.0)
    plain = drawn(num_inference_steps=n_steps)
    torch.testing.assert_close(written_out(n_steps, 1.0), plain, atol=1e-3, rtol=0)
    torch.testing.assert_close(guided, written, atol=1e-3, rtol=0)
    assert (guided - plain).abs().max() > 0.1, "what is guided is far from what is not"


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(bindings=PAIRS, **EAGER).equal(drawn(bindings=PAIRS, **EAGER))


def test_no_call_of_the_transformer_more() -> None:
    counts = []
    handle = pixart_pipeline().transformer.register_forward_hook(lambda *_: counts.append(1))
    drawn()
    n_plain = len(counts)
    drawn(bindings=PAIRS, **EAGER)
    handle.remove()
    assert (n_plain, len(counts)) == (4, 8)


def noise(*seeds: int) -> list[torch.Generator]:
    return [seeded(seed) for seed in seeds]


def test_a_batch_of_prompts_is_its_rows() -> None:
    """With two, one and no bindings, one attribute at the first token, and two images each."""
    prompts = [PROMPT, "red and blue circle with a photo", "a yellow plus"]
    bindings = [PAIRS, [("red", "circle"), ("blue", "circle")], []]
    batch = pixart_pipeline()(
        prompts, bindings=bindings, num_images_per_prompt=2, generator=noise(*range(6)),
        return_masks=True, **LATENT, **EAGER,
    )  # fmt: skip
    n_objects = [2, 1, 0]
    for row in range(6):
        alone = pixart_pipeline()(
            prompts[row // 2], bindings=bindings[row // 2], generator=noise(row),
            return_masks=True, **LATENT, **EAGER,
        )  # fmt: skip
        torch.testing.assert_close(batch.images[row], alone.images[0], atol=1e-4, rtol=1e-4)
        k = n_objects[row // 2]
        assert len(batch.coherence.objects[row]) == k
        assert not batch.coherence.masks[row, :, k:].any()
        if k:
            assert batch.coherence.masks[row, :, :k].equal(alone.coherence.masks[0])
        else:
            assert alone.coherence is None


def test_what_was_found_is_returned_by_step() -> None:
    out = pixart_pipeline()(
        PROMPT, bindings=PAIRS, return_masks=True, height=16, width=32,
        generator=seeded(), **CALL, **EAGER,
    )  # fmt: skip
    found = out.coherence
    assert isinstance(found, Coherence)
    assert out.images[0].size == (32, 16)
    assert found.maps.shape == found.masks.shape == (1, 4, 2, 4, 8)
    assert found.separation.shape == found.edited.shape == (1, 4, 2)
    assert found.objects == (("circle", "square"),)
    assert found.edited[0, :, 0].tolist() == [False, True, True, True]
    assert found.maps.dtype == torch.float32
    images, same = pixart_pipeline()(
        PROMPT, bindings=PAIRS, return_masks=True, return_dict=False, height=16, width=32,
        generator=seeded(), **CALL, **EAGER,
    )  # fmt: skip
    assert same.maps.equal(found.maps)
    assert np.array_equal(images[0], out.images[0])


def test_given_masks_are_used_and_exchanged_bindings_differ() -> None:
    masks = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    masks[0, 0, :, :2] = masks[0, 1, :, 2:] = True
    right = drawn(bindings=PAIRS, scg_masks=masks, **EAGER)
    assert right.equal(drawn(bindings=PAIRS, scg_masks=masks.flatten(2).numpy(), **EAGER))
    exchanged = [("red", "square"), ("blue", "circle")]
    wrong = drawn(bindings=exchanged, scg_masks=masks, **EAGER)
    assert wrong.equal(drawn(bindings=PAIRS, scg_masks=masks.flip(1), **EAGER))
    assert not wrong.equal(right)
    nowhere = drawn(bindings=PAIRS, scg_masks=torch.zeros(1, 2, 16), **EAGER)
    assert nowhere.equal(drawn())
    out = pixart_pipeline()(
        PROMPT, bindings=PAIRS, scg_masks=masks, return_masks=True, generator=seeded(), **LATENT
    )
    assert out.coherence.masks[:, -1].equal(masks)


def test_ratios_are_given_by_the_words_of_the_object() -> None:
    out = pixart_pipeline()(
        [PROMPT.upper(), "a green plus"], bindings=[PAIRS, [("green", "plus")]],
        scg_mask="ratio", scg_ratio=[{"Square": 0.5, "circle": 0.25}, {"plus": 1.0}],
        return_masks=True, generator=seeded(), **LATENT,
    )  # fmt: skip
    assert out.coherence.masks.flatten(3).sum(-1)[:, 0].tolist() == [[4, 8], [16, 0]]


def test_every_knob_turns_something() -> None:
    knobs: list[dict[str, Any]] = [
        {}, {"scg_strength": 2.0}, {"scg_start": 0.5}, {"scg_stop": 0.25}, {"scg_layers": [1]},
        {"scg_renormalize": True}, {"scg_suppress": 0.0}, {"scg_exclusive": True},
        {"scg_mask": "ratio", "scg_ratio": {"circle": 0.3, "square": 0.3}},
        {"scg_least_separation": 1.0},
    ]  # fmt: skip
    found = [drawn(bindings=PAIRS, **(EAGER | knob)) for knob in knobs]
    assert len({image.sum().item() for image in found}) == len(knobs)


def test_steps_are_those_the_scheduler_makes() -> None:
    """Heun asks the network twice a step, and timesteps may be given."""
    parts = pixart_parts() | {"scheduler": HeunDiscreteScheduler()}
    pipeline = quiet(SelfCoherencePixArtPipeline(**parts))
    seen = pipeline(PROMPT, bindings=PAIRS, return_masks=True, generator=seeded(), **LATENT)
    assert seen.coherence.edited.shape == (1, 7, 2)
    given = LATENT | {"timesteps": [900, 500, 100], "num_inference_steps": 20}
    own = pixart_pipeline()(PROMPT, bindings=PAIRS, return_masks=True, generator=seeded(), **given)
    assert own.coherence.edited.shape == (1, 3, 2)


def test_embeddings_go_with_tokens() -> None:
    pipeline = pixart_pipeline()
    with torch.no_grad():
        text, keep, *_ = pipeline.encode_prompt(PROMPT, max_sequence_length=12)
    given = {"prompt_embeds": text, "prompt_attention_mask": keep, **EAGER}
    with pytest.raises(DataError, match="prompt_embeds have no words"):
        drawn(None, bindings=[PAIRS], **given)
    tokens = [TokenBinding((thing,), ((attribute,),)) for attribute, thing in TOKENS]
    own = drawn(None, bindings=[tokens], **given)
    torch.testing.assert_close(own, drawn(bindings=PAIRS, **EAGER))
    assert drawn(bindings=tokens, **EAGER).equal(drawn(bindings=PAIRS, **EAGER))


def test_words_in_pieces_are_found_in_what_the_model_gets() -> None:
    """Capitals and blanks are taken away; hyphens and unknown words are several tokens."""
    pipeline = pixart_pipeline()
    given = {"max_sequence_length": 40, "clean_caption": False}
    tokens, objects = pipeline._tokens(
        "  A Dark-Red circle and a zebra, a blue circle", [[("dark-red", "circle"),
        ("blue", "circle"), ("a", "zebra")]], given,
    )  # fmt: skip
    assert objects == [("circle", "zebra", "circle")]
    said = pipeline.tokenizer("a dark-red circle and a zebra, a blue circle").input_ids
    words = [
        ["".join(pipeline.tokenizer.convert_ids_to_tokens([said[t] for t in piece])).strip("▁")
         for piece in (one.object, *one.attributes)]
        for one in tokens[0]
    ]  # fmt: skip
    assert words == [["circle", "dark<unk>red"], ["zebra", "a"], ["circle", "blue"]]
    ends = [max(one.object) for one in tokens[0]]
    assert ends == sorted(ends)


@pytest.mark.parametrize("instruction", [None, ["Say more:", "User Prompt: "], ["x" * 100], []])
def test_sana_finds_words_behind_its_instruction(instruction: list[str] | None) -> None:
    """Ids of the tokens that the transformer keeps, taken as the pipeline takes them."""
    pipeline, n_kept = sana_pipeline(), 60
    call = {"complex_human_instruction": instruction, "max_sequence_length": n_kept,
            "clean_caption": False}  # fmt: skip
    tokens, _ = pipeline._tokens(PROMPT, [PAIRS], call)
    seen = []
    handle = pipeline.text_encoder.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(args[0]), with_kwargs=True
    )
    pipeline.encode_prompt(PROMPT, False, complex_human_instruction=instruction,
                           max_sequence_length=n_kept)  # fmt: skip
    handle.remove()
    kept = seen[0][0][[0, *range(-n_kept + 1, 0)]]

    def words(positions: tuple[int, ...]) -> str:
        return "".join(pipeline.tokenizer.convert_ids_to_tokens(kept[list(positions)].tolist()))

    found = [(words(one.attributes[0]), words(one.object)) for one in tokens[0]]
    assert found == [("red", "circle"), ("blue", "square")]


def test_sana_is_guided_through_its_whole_instruction() -> None:
    out = sana_pipeline()(
        PROMPT, bindings=PAIRS, return_masks=True, generator=seeded(), **SANA_CALL, **EAGER
    )
    plain = sana_pipeline()(PROMPT, generator=seeded(), **SANA_CALL)
    assert out.coherence.maps.shape == (1, 4, 2, 8, 8)
    assert (out.images - plain.images).abs().max() > 1e-3
    with pytest.raises(DataError, match="the prompt was cut"):
        sana_pipeline()(PROMPT, bindings=PAIRS, **(SANA_CALL | {"max_sequence_length": 24}))


def test_a_stock_folder_is_loaded_and_what_is_saved_is_stock(tmp_path: Path) -> None:
    stock = PixArtAlphaPipeline(**pixart_parts())
    stock.save_pretrained(tmp_path / "stock")
    own = quiet(SelfCoherencePixArtPipeline.from_pretrained(tmp_path / "stock"))
    own.save_pretrained(tmp_path / "own")
    again = quiet(SelfCoherencePixArtPipeline.from_pretrained(tmp_path / "own"))
    expected = drawn(bindings=PAIRS, **EAGER)
    for pipeline in (own, again):
        got = pipeline(PROMPT, bindings=PAIRS, generator=seeded(), **LATENT, **EAGER).images
        assert got.equal(expected)
    back = quiet(DiffusionPipeline.from_pretrained(tmp_path / "own"))
    assert type(back) is PixArtAlphaPipeline
    assert back(PROMPT, generator=seeded(), **LATENT).images.equal(drawn())
    index = json.loads((tmp_path / "own" / "model_index.json").read_text())
    assert index == json.loads((tmp_path / "stock" / "model_index.json").read_text()) | {
        "_name_or_path": index.get("_name_or_path")
    }


def test_pipelines_are_those_of_their_parents() -> None:
    for own, parent in (
        (SelfCoherencePixArtPipeline, PixArtAlphaPipeline),
        (SelfCoherencePixArtSigmaPipeline, PixArtSigmaPipeline),
        (SelfCoherenceSanaPipeline, SanaPipeline),
    ):
        assert issubclass(own, parent)
        assert own.model_cpu_offload_seq == parent.model_cpu_offload_seq
    sigma = quiet(SelfCoherencePixArtSigmaPipeline(**pixart_parts()))
    out = sigma(PROMPT, bindings=PAIRS, return_masks=True, generator=seeded(), **LATENT, **EAGER)
    assert out.images.equal(drawn(bindings=PAIRS, **EAGER))


BAD: list[tuple[dict[str, Any], type[EtalageError], str]] = [
    ({"bindings": [("red", "cup")]}, DataError, "does not say 'red' of 'cup'"),
    ({"bindings": [("red", "circle")] * 2}, DataError, "once more"),
    ({"bindings": "red:circle"}, DataError, "list of pairs"),
    ({"bindings": {"red": "circle"}}, DataError, "list of pairs"),
    ({"bindings": [PAIRS]}, DataError, "pair of texts"),
    ({"bindings": PAIRS, "max_sequence_length": 6}, DataError, "the prompt was cut"),
    ({"prompt": [PROMPT], "bindings": PAIRS}, DataError, "bindings of 1 prompts"),
    ({"prompt": [PROMPT] * 2, "bindings": PAIRS}, DataError, "pair of texts"),
    ({"prompt": "红色的圆", "bindings": [("红色", "圆")]}, DataError,
     "says .* at once; the two cannot be told apart with this tokenizer"),
    ({"bindings": PAIRS, "scg_masks": torch.ones(1, 3, 16)}, DataError, "1 images x 2 objects"),
    ({"bindings": PAIRS, "scg_masks": torch.ones(1, 2, 9)}, DataError, "masks are of 9 pixels"),
    ({"bindings": PAIRS, "scg_masks": torch.ones(4, 4)}, DataError, "1 images x 2 objects"),
    ({"bindings": PAIRS, "scg_masks": torch.ones(1, 2, 8, 2)}, DataError,
     r"masks are of 8 x 2 pixels, and the picture has 16, \(rows, columns\) = \(4, 4\)"),
    ({"bindings": PAIRS, "scg_mask": "ratio"}, RecipeError, "ratios go with"),
    ({"bindings": PAIRS, "scg_mask": "ratio", "scg_ratio": {"circle": 0.1}}, DataError,
     "no share for 'square'"),
    ({"bindings": PAIRS, "scg_mask": "ratio", "scg_ratio": [0.1, 0.2]}, DataError,
     "scg_ratio is"),
    ({"bindings": PAIRS, "scg_layers": [3]}, RecipeError, "layers 0 to 2"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "message"), BAD)
def test_what_cannot_be_drawn_is_said(
    given: dict[str, Any], error: type[EtalageError], message: str
) -> None:
    with pytest.raises(error, match=message):
        drawn(**(EAGER | given))
    assert all("forward" not in vars(m) for m in pixart_pipeline().transformer.modules())


def test_another_script_is_found_as_it_is_written() -> None:
    """All its letters are unknown to this tokenizer, but they stand somewhere."""
    prompt, pairs = "красный круг и синий квадрат", [("красный", "круг"), ("синий", "квадрат")]
    given = {"prompt": prompt, "max_sequence_length": 40}
    assert not drawn(**given, bindings=pairs, **EAGER).equal(drawn(**given))


def test_a_size_that_the_parent_refuses_is_refused_by_it() -> None:
    with pytest.raises(ValueError, match="divisible by 8"):
        drawn(bindings=PAIRS, height=20, width=16)
    assert not drawn(bindings=PAIRS, **EAGER).equal(drawn())
    assert all("forward" not in vars(m) for m in pixart_pipeline().transformer.modules())


def test_a_tokenizer_without_offsets_needs_tokens() -> None:
    class Slow:
        is_fast = False

        def __init__(self, fast: Any) -> None:
            self.fast = fast

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self.fast(*args, **kwargs)

    pipeline = quiet(SelfCoherencePixArtPipeline(**pixart_parts()))
    pipeline.tokenizer = Slow(pipeline.tokenizer)
    with pytest.raises(RecipeError, match="a Slow does not tell which characters"):
        pipeline(PROMPT, bindings=PAIRS, generator=seeded(), **LATENT)
    tokens = [TokenBinding((thing,), ((attribute,),)) for attribute, thing in TOKENS]
    got = pipeline(PROMPT, bindings=tokens, generator=seeded(), **LATENT, **EAGER).images
    assert got.equal(drawn(bindings=PAIRS, **EAGER))


def test_what_the_page_says_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of 256 px in all but size, called with nothing but what the page calls it with."""
    monkeypatch.chdir(tmp_path)
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, latent_channels=4,
        layers_per_block=1,
    )  # fmt: skip
    parts = pixart_parts(sample_size=32, num_layers=1) | {"vae": vae.eval()}
    PixArtAlphaPipeline(**parts).save_pretrained(tmp_path / "stock")
    page = Path(__file__).parents[2] / "docs/systems/self-coherence.md"
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL))
    assert "folder/of/PixArt" in code
    said: dict[str, Any] = {}
    exec(code.replace("folder/of/PixArt", "stock"), said)
    assert Image.open("bowl-mask.png").size == Image.open("mug.png").size == (256, 256)
    assert said["controller"].coherence().edited.shape == (1, 28, 1)


def test_settings_begin_as_those_of_the_guidance() -> None:
    taken = inspect.signature(SelfCoherencePixArtPipeline.__call__).parameters
    usual = {f"scg_{one.name}": one.default for one in fields(Guidance)}
    given_beside = {"scg_ratio", "scg_masks"}
    settings = {name for name in taken if name.startswith("scg_")} - given_beside
    assert {name: taken[name].default for name in settings} == usual
