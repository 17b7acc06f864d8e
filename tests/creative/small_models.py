"""Pipelines and transformers of every kind that is guided, small, random, and made on the spot."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtTransformer2DModel,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import nn
from transformers import (
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from etalage.creative.pipelines import SelfCoherencePixArtPipeline, SelfCoherenceSanaPipeline

WORDS = ["a", "an", "and", "red", "green", "blue", "yellow", "circle", "square", "plus", "photo",
         "of", "with", "dark"]  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PROMPT = "a red circle and a blue square"
PAIRS = [("red", "circle"), ("blue", "square")]
TOKENS = [(1, 2), (5, 6)]
"""Where the tokenizer of PixArt has these pairs: (attribute, object)."""
CALL: dict[str, Any] = {
    "num_inference_steps": 4,
    "use_resolution_binning": False,
    "clean_caption": False,
    "max_sequence_length": 12,
}
LATENT = {**CALL, "output_type": "latent"}
EAGER = {"scg_start": 0.0, "scg_least_separation": 0.0}
"""Edits from step 1 on, however little a map says."""


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sharpened(model: nn.Module, factor: float = 4.0) -> nn.Module:
    """Random weights attend to everything alike; larger queries and keys make maps that differ."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("attn2.to_q.weight", "attn2.to_k.weight")):
                weight *= factor
    return model.eval()


def pixart(seed: int = 0, **changed: Any) -> PixArtTransformer2DModel:
    torch.manual_seed(seed)
    settings = {
        "sample_size": 8,
        "num_layers": 3,
        "patch_size": 2,
        "attention_head_dim": 8,
        "num_attention_heads": 4,
        "in_channels": 4,
        "out_channels": 8,
        "cross_attention_dim": 32,
        "caption_channels": 32,
    }
    return sharpened(PixArtTransformer2DModel(**(settings | changed)))


def t5_tokenizer() -> T5Tokenizer:
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0)]
    vocabulary += [("▁" + word, -2.0) for word in WORDS]
    vocabulary += [(letter, -8.0) for letter in LETTERS] + [("▁", -4.0)]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0)


def pixart_parts(**changed: Any) -> dict[str, Any]:
    tokenizer = t5_tokenizer()
    torch.manual_seed(0)
    encoder = T5EncoderModel(
        T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
        layers_per_block=1,
    )
    return {
        "tokenizer": tokenizer,
        "text_encoder": encoder.eval(),
        "vae": vae.eval(),
        "transformer": pixart(**changed),
        "scheduler": DPMSolverMultistepScheduler(),
    }


def quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@cache
def pixart_pipeline() -> SelfCoherencePixArtPipeline:
    return quiet(SelfCoherencePixArtPipeline(**pixart_parts()))


def drawn(prompt: Any = PROMPT, **given: Any) -> torch.Tensor:
    """Latents of the small PixArt."""
    return pixart_pipeline()(prompt, **({"generator": seeded()} | LATENT | given)).images


def sana(seed: int = 0, **changed: Any) -> SanaTransformer2DModel:
    torch.manual_seed(seed)
    settings = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "num_layers": 3,
        "num_cross_attention_heads": 4,
        "cross_attention_head_dim": 8,
        "cross_attention_dim": 32,
        "caption_channels": 32,
        "sample_size": 8,
    }
    return sharpened(SanaTransformer2DModel(**(settings | changed)))


@cache
def sana_pipeline() -> SelfCoherenceSanaPipeline:
    marks = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", "\n", *".,:-'", *LETTERS]
    marks += list(LETTERS.upper())
    tokenizer = GemmaTokenizer(vocab={mark: n for n, mark in enumerate(marks)}, merges=[])
    torch.manual_seed(0)
    encoder = Gemma2Model(
        Gemma2Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
        )
    )
    pipeline = SelfCoherenceSanaPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder.eval(),
        vae=None,
        transformer=sana(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )
    return quiet(pipeline)


SANA_CALL: dict[str, Any] = {
    "num_inference_steps": 4,
    "use_resolution_binning": False,
    "max_sequence_length": 60,
    "height": 256,
    "width": 256,
    "output_type": "latent",
}


def sd3(seed: int = 0, **changed: Any) -> SD3Transformer2DModel:
    torch.manual_seed(seed)
    settings = {
        "sample_size": 8,
        "patch_size": 2,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 3,
        "attention_head_dim": 8,
        "num_attention_heads": 4,
        "joint_attention_dim": 32,
        "caption_projection_dim": 32,
        "pooled_projection_dim": 16,
        "pos_embed_max_size": 8,
        "dual_attention_layers": (0,),
        "qk_norm": "rms_norm",
    }
    return SD3Transformer2DModel(**(settings | changed)).eval()


def flux(seed: int = 0, **changed: Any) -> FluxTransformer2DModel:
    torch.manual_seed(seed)
    settings = {
        "in_channels": 16,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 16,
        "axes_dims_rope": (4, 4, 8),
    }
    return FluxTransformer2DModel(**(settings | changed)).eval()


def texts(n: int, seed: int, length: int = 12) -> dict[str, torch.Tensor]:
    """Embeddings of a text and its summary."""
    generator = seeded(seed)
    return {
        "prompt_embeds": torch.randn(n, length, 32, generator=generator),
        "pooled_prompt_embeds": torch.randn(n, 16, generator=generator),
    }


def draw_with_flux(transformer: FluxTransformer2DModel, n: int = 1, **given: Any) -> torch.Tensor:
    """Latents of a whole FluxPipeline, of which only the transformer is there."""
    pipeline = FluxPipeline(
        FlowMatchEulerDiscreteScheduler(), None, None, None, None, None, transformer
    )
    call = {"height": 64, "width": 64, "num_inference_steps": 4, "output_type": "latent"}
    call |= texts(n, seed=5) | {"generator": seeded()} | given
    return quiet(pipeline)(**call).images


def draw_with_sd3(transformer: SD3Transformer2DModel, n: int = 1, **given: Any) -> torch.Tensor:
    """Latents of a whole StableDiffusion3Pipeline, of which only the transformer is there."""
    pipeline = StableDiffusion3Pipeline(
        transformer, FlowMatchEulerDiscreteScheduler(), *([None] * 7)
    )
    call = {"height": 64, "width": 64, "num_inference_steps": 4, "output_type": "latent"}
    call |= texts(n, seed=5) | {"generator": seeded()}
    call |= {f"negative_{name}": text for name, text in texts(n, seed=6).items()} | given
    return quiet(pipeline)(**call).images
