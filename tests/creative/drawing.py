"""A pipeline that paints squares, and a judge that reads them: no weights, and errors on demand."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from etalage.creative.judge import Verdict

COLOURS = {"red": (200, 30, 30), "blue": (30, 60, 200), "green": (30, 150, 60)}
PROMPT = "a red mug beside a blue bowl"
PAIRS = (("red", "mug"), ("blue", "bowl"))


class Painter:
    """Paints the objects of a prompt left and right; exchanges their colours where a bit of the
    noise says so, unless it is guided strongly enough."""

    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, enough: float = 5.0) -> None:
        self.enough = enough
        self.components: dict[str, Any] = {"net": torch.nn.Linear(2, 2)}
        torch.nn.init.ones_(self.components["net"].weight)
        torch.nn.init.zeros_(self.components["net"].bias)
        self.asked: list[dict[str, Any]] = []
        self.fails_after: int | None = None

    def __call__(
        self,
        prompt: str,
        negative_prompt: str = "",
        num_inference_steps: int = 20,
        guidance_scale: float = 4.5,
        height: int | None = None,
        width: int | None = None,
        generator: torch.Generator | None = None,
        bindings: Sequence[tuple[str, str]] | None = None,
        scg_strength: float = 1.0,
        brightness: float = 1.0,
        return_masks: bool = False,
        **kwargs: Any,
    ) -> Any:
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise KeyboardInterrupt
        self.asked.append({"prompt": prompt, "bindings": bindings, "strength": scg_strength})
        words = prompt.split()
        colours = [COLOURS[word] for word in words if word in COLOURS]
        is_wrong = bool(torch.rand(1, generator=generator) < 0.5)
        if is_wrong and scg_strength < self.enough:
            colours.reverse()
        size = (height or 32, width or 32)
        pixels = np.full((*size, 3), 230, np.uint8)
        for at, colour in enumerate(colours):
            left = at * size[1] // len(colours)
            pixels[4:-4, left + 3 : left + size[1] // len(colours) - 3] = [
                int(brightness * value) for value in colour
            ]
        masks = torch.zeros(1, num_inference_steps, len(colours), 4, 4, dtype=torch.bool)
        for at in range(len(colours)):
            masks[:, :, at, :, at * 2 : at * 2 + 2] = True
        told = SimpleNamespace(
            masks=masks,
            separation=torch.ones(masks.shape[:3]),
            edited=torch.ones(masks.shape[:3], dtype=torch.bool),
            objects=(tuple(thing for _, thing in bindings or ()),),
        )
        output = SimpleNamespace(images=[Image.fromarray(pixels)])
        if return_masks:
            output.coherence = told
        return output


class Reader:
    """Scores the n-th pair by the colour of the n-th part of a picture; counts its looks."""

    fingerprint = "reader"

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.n_looks = 0

    def check(self, image: Image.Image, pairs: Sequence[tuple[str, str]]) -> Verdict:
        self.n_looks += 1
        pixels = np.asarray(image.convert("RGB"), dtype=float)
        scores = {}
        for at, (colour, thing) in enumerate(pairs):
            x = (2 * at + 1) * pixels.shape[1] // (2 * len(pairs))
            off = np.abs(pixels[pixels.shape[0] // 2, x] - COLOURS[colour]).max()
            scores[colour, thing] = float(np.clip(1 - off / 100, 0, 1))
        return Verdict(scores, self.threshold)
