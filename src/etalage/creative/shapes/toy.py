"""Which model draws shapes? The smallest PixArt that can, as an ordinary folder of diffusers.

Tokenizer, text encoder, transformer and decoder are classes of transformers and diffusers, so the
folder loads into every pipeline for PixArt. Two parts are simpler than in the large ones, so that
it is the transformer that binds. The text encoder has no layers: the state of a word says the
word and its place, and nothing of the words around it. The decoder passes pixels through.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
)
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Tokenizer

from etalage.creative.shapes.pictures import (
    BACKGROUNDS,
    CELL,
    COLOURS,
    PARTS,
    SHAPES,
    SIDE,
    TEXTURES,
    Pixels,
)

WORDS = ("a", "and", "with", "on", *COLOURS, *TEXTURES, *SHAPES, *PARTS, *BACKGROUNDS)
N_TOKENS = 8
"""Of a prompt: seven words and the end."""
CALL = {
    "use_resolution_binning": False,
    "clean_caption": False,
    "max_sequence_length": N_TOKENS,
}
"""How a pipeline of the toy is called: as it is, at the size it has."""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of the transformer."""

    n_layers: int = 4
    n_heads: int = 3
    head_width: int = 32
    text_width: int = 64


class Toy(nn.Module):
    """What learns: the text encoder and the transformer, as one network."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        config = CLIPTextConfig(
            vocab_size=len(tokenizer()),
            hidden_size=size.text_width,
            intermediate_size=size.text_width,
            num_hidden_layers=0,
            num_attention_heads=1,
            max_position_embeddings=N_TOKENS,
            bos_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
            initializer_factor=20.0,  # states of words begin as large as a layer norm leaves them
        )
        self.text = CLIPTextModel(config)
        self.transformer = PixArtTransformer2DModel(
            sample_size=SIDE,
            patch_size=CELL,
            in_channels=3,
            out_channels=3,
            num_layers=size.n_layers,
            num_attention_heads=size.n_heads,
            attention_head_dim=size.head_width,
            cross_attention_dim=size.n_heads * size.head_width,
            caption_channels=size.text_width,
        )

    def forward(self, noisy: Tensor, times: Tensor, tokens: Tensor, told: Tensor) -> Tensor:
        """Returns the velocity.

        Args:
            noisy: pictures with noise, (B, 3, SIDE, SIDE).
            times: step of the noise, (B,).
            tokens: (B, N_TOKENS).
            told: 1 for tokens that say something and 0 for padding, (B, N_TOKENS).
        """
        states = self.text(tokens, attention_mask=told)[0]
        nothing = {"resolution": None, "aspect_ratio": None}
        velocity: Tensor = self.transformer(
            noisy, states, times, nothing, encoder_attention_mask=told, return_dict=False
        )[0]
        return velocity

    def pipeline(self) -> PixArtAlphaPipeline:
        """Returns the whole pipeline, ready to draw or to be saved."""
        parts: dict[str, Any] = {
            "tokenizer": tokenizer(),
            "text_encoder": self.text,
            "transformer": self.transformer,
            "vae": _pixels_as_they_are(),
            "scheduler": DPMSolverMultistepScheduler(**SCHEDULE),
        }
        return PixArtAlphaPipeline(**parts)


SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
}


def tokenizer() -> T5Tokenizer:
    """Returns the tokenizer: each word of the toy is one token, and others are spelled."""
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0)]
    words = [("▁" + word, -2.0) for word in WORDS]
    letters = [(letter, -8.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return T5Tokenizer(vocab=[*marks, *words, *letters, ("▁", -4.0)], extra_ids=0)


def save(toy: Toy, folder: Path) -> None:
    """Writes the pipeline in half precision, which is a few megabytes."""
    pipeline = copy.deepcopy(toy).half().pipeline()
    pipeline.vae.half()
    pipeline.save_pretrained(folder)
    # the class writes a setting that it warns of when it reads it
    path = folder / "vae" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    del config["block_out_channels"]
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def to_tensor(pixels: list[Pixels]) -> Tensor:
    """Returns pictures as the model sees them: (B, 3, SIDE, SIDE) from -1 to 1."""
    rows = torch.stack([torch.from_numpy(picture) for picture in pixels])
    return rows.permute(0, 3, 1, 2).float() / 127.5 - 1


def _pixels_as_they_are() -> AutoencoderTiny:
    """Returns a decoder whose picture is its input.

    The class squashes its input by 3 tanh(x / 3), clips what is below 0 and returns 2 y - 1. At a
    hundredth of the size the tanh is straight to 1e-5 of its value.
    """
    vae = AutoencoderTiny(
        latent_channels=3,
        encoder_block_out_channels=(3,),
        decoder_block_out_channels=(3,),
        num_encoder_blocks=(0,),
        num_decoder_blocks=(0,),
        scaling_factor=100.0,
    )
    first, _, last = vae.decoder.layers
    with torch.no_grad():
        for layer, scale, shift in ((first, 50.0, 0.5), (last, 1.0, 0.0)):
            layer.weight.zero_()
            layer.weight[range(3), range(3), 1, 1] = scale
            layer.bias.fill_(shift)
        for weight in vae.encoder.parameters():
            weight.zero_()  # nothing is ever encoded
    return vae
