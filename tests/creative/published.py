"""The published loop, written out by itself: whole softmax matrices and one more pass each step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from diffusers import PixArtAlphaPipeline
from tests.creative.small_models import CALL, PROMPT, TOKENS, pixart_parts, seeded
from torch import Tensor


class Written:
    """A processor that keeps each matrix, and multiplies columns of it."""

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self.masks: list[np.ndarray] | None = None
        self.conditional: slice = slice(0, 1)
        self.maps: list[np.ndarray] = []

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Any = None,
        attention_mask: Any = None, **_: Any,
    ) -> Tensor:  # fmt: skip
        rows, n_text = len(hidden_states), encoder_hidden_states.shape[1]
        width = hidden_states.shape[-1] // attn.heads

        def heads(states: Tensor) -> Tensor:
            return states.view(rows, -1, attn.heads, width).transpose(1, 2)

        query = heads(attn.to_q(hidden_states))
        key = heads(attn.to_k(encoder_hidden_states))
        value = heads(attn.to_v(encoder_hidden_states))
        logits = query @ key.transpose(2, 3) / width**0.5 + attention_mask.view(rows, 1, 1, n_text)
        weights = logits.softmax(-1)
        self.maps.append(weights[self.conditional].double().numpy())
        if self.masks is not None:
            for (attribute, _object), mask in zip(TOKENS, self.masks, strict=True):
                here = torch.tensor(mask)
                weights[self.conditional, :, here, attribute] *= self.strength
        out = (weights @ value).transpose(1, 2).reshape(rows, -1, attn.heads * width)
        return attn.to_out[0](out)

    def next_masks(self) -> list[np.ndarray]:
        mean = np.mean([maps[0].mean(0) for maps in self.maps], axis=0)  # (P, L)
        self.maps.clear()
        return [two_parts(mean[:, thing]) for _, thing in TOKENS]


def two_parts(values: np.ndarray) -> np.ndarray:
    """The upper of the two parts with the least squares, all of them tried."""
    best, found = np.inf, values >= values.max()
    for low, high in pairwise(np.sort(values)):
        upper = values >= high
        if low < high:
            squares = ((values[upper] - values[upper].mean()) ** 2).sum()
            squares += ((values[~upper] - values[~upper].mean()) ** 2).sum()
            if squares < best:
                best, found = squares, upper
    return found


@torch.no_grad()
def written_out(n_steps: int, strength: float) -> Tensor:
    """Latents of the small PixArt, edited from step 1 on."""
    parts = pixart_parts()
    transformer, scheduler = parts["transformer"], parts["scheduler"]
    pipeline = PixArtAlphaPipeline(**parts)
    text, keep, no_text, no_keep = pipeline.encode_prompt(
        PROMPT, negative_prompt="", max_sequence_length=CALL["max_sequence_length"]
    )
    written = Written(strength)
    for block in transformer.transformer_blocks:
        block.attn2.set_processor(written)
    latents = torch.randn(1, 4, 8, 8, generator=seeded())
    scheduler.set_timesteps(n_steps)
    for t in scheduler.timesteps:

        def noise(rows: int, text: Tensor, keep: Tensor, t: Tensor, now: Tensor) -> Tensor:
            return transformer(
                now.expand(rows, -1, -1, -1), encoder_hidden_states=text,
                encoder_attention_mask=keep, timestep=t.expand(rows), return_dict=False,
                added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            )[0][:, :4]  # fmt: skip

        written.conditional = slice(0, 1)
        noise(1, text, keep, t, latents)  # the extra pass, which only looks
        masks = written.next_masks()
        written.conditional = slice(1, 2)
        both = noise(2, torch.cat([no_text, text]), torch.cat([no_keep, keep]), t, latents)
        written.maps.clear()
        written.masks = masks
        without, wanted = both.chunk(2)
        latents = scheduler.step(without + 4.5 * (wanted - without), t, latents)[0]
    return latents
