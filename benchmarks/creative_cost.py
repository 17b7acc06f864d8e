"""Claims about what self-coherence guidance costs, and that it is the published loop.

    python benchmarks/creative_cost.py [--try] [--rounds 12]

The transformer is PixArt-XL in all but depth: 16 heads of 72 channels, 120 tokens of text, and
pictures of 512 px, which are 1024 tokens. Guided and plain steps take turns, in an order that
changes, and the middle of what a pair differs by is claimed. What one step allocates and
keeps is read at 1024 px, 4096 tokens, by looking at all that operators make. The published loop
is written out in the tests, with whole matrices and one more pass a step.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import PixArtTransformer2DModel
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from claims import holds, record
from etalage.creative.bindings import TokenBinding
from etalage.creative.guidance import Guidance
from etalage.creative.self_coherence import Controller, self_coherence

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.creative.published import written_out
from tests.creative.small_models import EAGER, PAIRS, drawn, pixart_pipeline

N_LAYERS, HEADS, WIDTH, N_TEXT = 3, 16, 72, 120
BINDINGS = [(TokenBinding((2, 3), ((1,),)), TokenBinding((7,), ((6,),)))]
"""As of "a red teapot and a blue mug", where one word is in two pieces."""
MORE_TIME, MOST_KEPT = 5.0, 64.0
DIFFERENCE = 1e-3


def transformer(latent_side: int, n_layers: int) -> PixArtTransformer2DModel:
    torch.manual_seed(0)
    return PixArtTransformer2DModel(
        sample_size=latent_side,
        num_layers=n_layers,
        num_attention_heads=HEADS,
        attention_head_dim=WIDTH,
        cross_attention_dim=HEADS * WIDTH,
        caption_channels=4096,
        use_additional_conditions=False,
    ).eval()


def inputs(latent_side: int) -> dict[str, Any]:
    """A batch of the empty prompt and the prompt, as of guidance without a classifier."""
    generator = torch.Generator().manual_seed(1)
    picture = torch.randn(1, 4, latent_side, latent_side, generator=generator)
    return {
        "hidden_states": picture.expand(2, -1, -1, -1),
        "encoder_hidden_states": torch.randn(2, N_TEXT, 4096, generator=generator),
        "encoder_attention_mask": (torch.arange(N_TEXT) < torch.tensor([[1], [10]])).long(),
        "return_dict": False,
    }


def controller(n_steps: int) -> Controller:
    return Controller(BINDINGS, n_steps, Guidance(start=0, least_separation=0))


@torch.no_grad()
def more_time(n_rounds: int) -> tuple[float, float]:
    """CPU time that a guided step takes more than a plain one, in percent, and of a plain one."""
    models, call = [transformer(64, N_LAYERS) for _ in range(2)], inputs(64)

    def cost(model: PixArtTransformer2DModel, step: int) -> float:
        started = time.process_time()
        model(**call, timestep=torch.full((2,), step))
        return time.process_time() - started

    ratios, plain = [], []
    with self_coherence(models[1], controller(n_rounds + 2)):
        for n in range(n_rounds + 2):
            order = (0, 1) if n % 2 else (1, 0)
            costs = {which: cost(models[which], 900 - n) for which in order}
            if n >= 2:  # two to warm up; and step 0 has no masks to edit by
                ratios.append(costs[1] / costs[0])
                plain.append(costs[0])
    return 100 * (float(np.median(ratios)) - 1), float(np.median(plain))


class Made(TorchDispatchMode):
    """The largest tensor that operators make, and whether one has both pixels and tokens."""

    def __init__(self, n_pixels: int) -> None:
        super().__init__()
        self.n_pixels = n_pixels
        self.n_matrices = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else [out]:
            is_matrix = isinstance(one, Tensor) and {self.n_pixels, N_TEXT} <= set(one.shape)
            self.n_matrices += bool(is_matrix)
        return out


@torch.no_grad()
def memory() -> tuple[int, float]:
    """Matrices of pixels by tokens that steps at 1024 px make, and kB that are kept in them."""
    model, call, guide = transformer(128, 2), inputs(128), controller(3)
    kept = []

    def look(*_: Any) -> None:
        own = [part for name, part in vars(guide).items() if name != "_text"]
        own += [getattr(guide.chosen, name) for name in guide.chosen.__slots__]
        tensors = [part for part in own if isinstance(part, Tensor)]
        kept.append(sum(part.untyped_storage().nbytes() for part in tensors) / 1000)

    model.transformer_blocks[1].register_forward_hook(look)
    with self_coherence(model, guide), Made(4096) as made:
        for step in range(3):
            model(**call, timestep=torch.full((2,), step))
            look()
    return made.n_matrices, max(kept)


def evaluations() -> tuple[int, float, float]:
    """Calls of the network more, and how far guided is from the loop written out and from plain."""
    calls: list[int] = []
    handle = pixart_pipeline().transformer.register_forward_hook(lambda *_: calls.append(1))
    plain = drawn(num_inference_steps=8)
    n_plain = len(calls)
    guided = drawn(bindings=PAIRS, num_inference_steps=8, **EAGER)
    handle.remove()
    written = written_out(8, strength=4.0)
    off = float((guided - written).abs().max())
    return len(calls) - 2 * n_plain, off, float((guided - plain).abs().max())


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--try", dest="is_try", action="store_true", help="record nothing")
    parser.add_argument("--rounds", type=int, default=12, help="pairs of steps")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    n_more, off, apart = evaluations()
    n_matrices, kept = memory()
    more, plain = more_time(options.rounds)
    found = [
        ("calls of the network that guidance adds to 8 steps", n_more, "calls", "<=0"),
        ("guided latents off the published loop written out", off, "", f"<={DIFFERENCE}"),
        ("guided latents apart from plain ones, so that being near says something", apart, "",
         ">=0.1"),
        ("matrices of pixels by tokens that three guided steps at 1024 px make", n_matrices,
         "tensors", "<=0"),
        ("kept between layers and steps for two objects at 1024 px", kept, "kB",
         f"<={MOST_KEPT:g}"),
        ("CPU time of a guided step above a plain one, width of PixArt-XL, 512 px", more, "%",
         f"<={MORE_TIME:g}"),
    ]  # fmt: skip
    seconds = time.process_time() - began
    print(f"a plain step took {plain:.2f} CPU-s, and all {seconds:.0f}")
    if options.is_try:
        for claim, value, unit, target in found:
            print(f"{claim}: {value:.4g} {unit}, {target}: {holds(value, target)}")
        return 0
    kept_all = [record("creative", *claim, seeds=[1], seconds=seconds) for claim in found]
    return int(not all(kept_all))


if __name__ == "__main__":
    sys.exit(main())
