"""Is the toy an ordinary pipeline, and does its training go on where it stopped?"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import PixArtAlphaPipeline

from etalage.creative.shapes import training
from etalage.creative.shapes.pictures import SIDE, TASKS, all_pairs, draw, prompt_of
from etalage.creative.shapes.toy import CALL, N_TOKENS, Size, Toy, save, to_tensor, tokenizer
from etalage.creative.shapes.training import Pictures, Recipe, train
from etalage.errors import BundleError
from etalage.train.config import TrainingConfig

SMALL = Recipe(
    n_steps=4,
    size=Size(n_layers=1, n_heads=2, head_width=8, text_width=16),
    training=TrainingConfig(batch_size=8, learning_rate=1e-3, clip_norm=1.0, precision="float32"),
)


@pytest.mark.parametrize("task", TASKS)
def test_every_prompt_has_a_token_for_each_word(task: str) -> None:
    coder = tokenizer()
    for pairs in all_pairs(task):
        prompt = prompt_of(pairs)
        tokens = coder(prompt, return_offsets_mapping=True)
        assert len(tokens["input_ids"]) == N_TOKENS
        spans = [span for span in tokens["offset_mapping"] if span[1] > span[0]]
        assert [prompt[start:end].strip() for start, end in spans] == prompt.split()


def test_words_that_the_toy_does_not_know_are_spelled() -> None:
    assert len(tokenizer()("house")["input_ids"]) == 7  # a beginning, five letters, the end


def test_the_decoder_passes_pixels_through() -> None:
    pixels = draw(all_pairs("style")[0], 3)
    vae = Toy(SMALL.size).pipeline().vae
    given = to_tensor([pixels])
    with torch.no_grad():
        shown = vae.decode(given / vae.config.scaling_factor).sample
    assert torch.allclose(shown, given, atol=1e-4)


def test_a_saved_toy_draws_the_same_in_half_precision(tmp_path: Path) -> None:
    toy = Toy(SMALL.size).eval()
    save(toy, tmp_path)
    # what was saved is rounded; loaded twice it is the same
    drawn = []
    for _ in range(2):
        pipeline = PixArtAlphaPipeline.from_pretrained(tmp_path, dtype=torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        drawn.append(
            pipeline(
                "a red circle and a blue square",
                num_inference_steps=2,
                output_type="np",
                generator=torch.Generator().manual_seed(1),
                **CALL,
            ).images
        )
    assert drawn[0].shape == (1, SIDE, SIDE, 3)
    assert np.array_equal(*drawn)


def test_a_batch_is_the_same_however_often_it_is_asked_for() -> None:
    pictures = Pictures(SMALL)
    for one, other in zip(pictures.batch(3), pictures.batch(3), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(pictures.batch(3)[0], pictures.batch(4)[0])


def test_a_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "EVERY", 2)
    whole = train(SMALL, tmp_path / "whole").state_dict()
    train(replace(SMALL, n_steps=2), tmp_path / "parts")
    parts = train(SMALL, tmp_path / "parts").state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_another_recipe_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "EVERY", 2)
    train(replace(SMALL, n_steps=2), tmp_path)
    with pytest.raises(BundleError, match=r"exchanged \(0\.35, now 0\.1\)"):
        train(replace(SMALL, exchanged=0.1), tmp_path)


def test_the_loss_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "EVERY", 20)
    losses = []
    train(
        replace(SMALL, n_steps=100), tmp_path, told=lambda step, loss, seconds: losses.append(loss)
    )
    assert losses[-1] < 0.8 * losses[0]
