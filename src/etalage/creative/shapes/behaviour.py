"""Does guidance bind what belongs together? The same noise, drawn with and without, and controls.

Four ways stand beside the plain one. `guided` is the method. `oracle` is given where the parts are
in the plain picture: what the edit could do if attention found them. `exchanged` binds each
attribute to the other part, which must hurt if the edit has a grip at all, and `random` edits as
many places as `guided`, but anywhere, which must do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from etalage.creative.shapes.judge import Reading, read
from etalage.creative.shapes.pictures import CELL, SIDE, Pairs, all_pairs, prompt_of
from etalage.creative.shapes.toy import CALL
from etalage.errors import RecipeError
from etalage.seeds import generator, torch_seed

WAYS = ("plain", "guided", "oracle", "exchanged", "random")
GRID = SIDE // CELL
N_TOGETHER = 64
"""Pictures drawn at once."""


@dataclass(frozen=True)
class Drawing:
    """How pictures are drawn, the same for every way."""

    n_steps: int = 20
    guidance_scale: float = 2.0
    seed: int = 1
    guidance: dict[str, Any] = field(default_factory=dict)
    """Arguments of self-coherence, `scg_strength` and its like; what is not said is as usual."""


@dataclass(frozen=True)
class Readings:
    """What one way drew, a row each picture."""

    found: NDArray[np.bool_]
    bound: NDArray[np.bool_]
    """Found, and each part with its own attribute: a part that is missing is not bound."""
    exchanged: NDArray[np.bool_]
    overlaps: NDArray[np.float64]

    @classmethod
    def of(cls, readings: list[Reading]) -> Readings:
        """Puts readings in columns."""
        found = np.array([r.is_found for r in readings])
        bound = np.array([r.is_bound for r in readings])
        exchanged = np.array([r.is_exchanged for r in readings])
        overlaps = np.array([r.overlap for r in readings])
        return cls(found, found & bound, found & exchanged, overlaps)


@dataclass(frozen=True)
class Behaviour:
    """What was found on one task."""

    ways: dict[str, Readings]
    points_right: NDArray[np.float64]
    """Share of the plain pictures in which the map of a part is stronger on its own place than on
    the other's, by step and part (n_steps, 2): the premise of the method."""

    def change(self, way: str) -> Change:
        """Sets a way beside the plain one, picture by picture."""
        plain, other = self.ways["plain"], self.ways[way]
        fixed = int((other.bound & ~plain.bound).sum())
        broken = int((plain.bound & ~other.bound).sum())
        return Change(len(plain.bound), fixed, broken)


@dataclass(frozen=True, slots=True)
class Change:
    """Pairs of pictures of the same noise, of which one is bound and the other is not."""

    n: int
    fixed: int
    broken: int

    @property
    def points(self) -> float:
        """Change of the share that is bound, in points of a hundred."""
        return 100 * (self.fixed - self.broken) / self.n

    @property
    def margin(self) -> float:
        """Half of the 95 % interval of `points`."""
        both, net = self.fixed + self.broken, self.fixed - self.broken
        return 100 * 1.96 * sqrt(max(both - net**2 / self.n, 0)) / self.n

    @property
    def p(self) -> float:
        """Chance of a split as uneven as this one if both were alike (McNemar, exact).

        >>> round(Change(200, fixed=29, broken=9).p, 4)
        0.0017
        """
        from scipy.stats import binomtest

        both = self.fixed + self.broken
        return float(binomtest(self.fixed, both, 0.5).pvalue) if both else 1.0


def behave(
    pipeline: Any,
    task: str,
    n: int,
    drawing: Drawing,
    ways: Iterable[str] = WAYS,
    told: Callable[[int], None] = lambda n_done: None,
) -> Behaviour:
    """Draws `n` prompts of a task in every way, and reads them.

    Args:
        pipeline: a self-coherence pipeline of a toy.
        task: "coarse", "fine" or "style".
        n: pictures of each way.
        drawing: how they are drawn.
        ways: which of `WAYS` are drawn beside the plain one; `random` brings `guided` along.
        told: is called with the number of prompts that are done.

    Raises:
        RecipeError: for a way that there is not.
    """
    ways = set(ways)
    if unknown := sorted(ways - {*WAYS}):
        raise RecipeError(f"there is no way {unknown[0]!a}; choose of {', '.join(WAYS)}")
    ways |= {"plain"} | ({"guided"} if "random" in ways else set())
    read_of: dict[str, list[Reading]] = {way: [] for way in WAYS if way in ways}
    right = []
    for start in range(0, n, N_TOGETHER):
        numbers = range(start, min(start + N_TOGETHER, n))
        batch = _Batch(pipeline, task, numbers, drawing)
        for way, readings in read_of.items():
            readings += batch.draw(way)
        right.append(batch.points_right())
        told(numbers.stop)
    found = {way: Readings.of(readings) for way, readings in read_of.items()}
    return Behaviour(found, np.concatenate(right).mean(0))


class _Batch:
    def __init__(self, pipeline: Any, task: str, numbers: range, drawing: Drawing) -> None:
        self.pipeline, self.drawing, self.numbers, self.task = pipeline, drawing, numbers, task
        asked = all_pairs(task)
        draws = [generator(drawing.seed, "asked", task, number) for number in numbers]
        self.asked: list[Pairs] = [asked[int(rng.integers(len(asked)))] for rng in draws]
        self.plain: list[Reading] = []
        self.n_edited: NDArray[np.int64] = np.zeros(0, np.int64)
        self.maps: NDArray[np.float32] = np.zeros(0, np.float32)

    def draw(self, way: str) -> list[Reading]:
        """Returns what is read in the pictures of a way; the plain one comes first."""
        bindings = [list(pairs) for pairs in self.asked]
        settings = dict(self.drawing.guidance)
        if way == "plain":
            settings["scg_start"] = 1.0  # looks at the maps and edits nothing
        if way == "exchanged":
            bindings = [[(two[0], one[1]), (one[0], two[1])] for one, two in self.asked]
        if way == "oracle":
            settings["scg_masks"] = torch.tensor(self.places)
        if way == "random":
            settings["scg_masks"] = torch.tensor(self._anywhere())
        noise = [
            torch.Generator().manual_seed(torch_seed(self.drawing.seed, "noise", self.task, number))
            for number in self.numbers
        ]
        drawn = self.pipeline(
            [prompt_of(pairs) for pairs in self.asked],
            bindings=bindings,
            generator=noise,
            num_inference_steps=self.drawing.n_steps,
            guidance_scale=self.drawing.guidance_scale,
            output_type="np",
            return_masks=True,
            **CALL,
            **settings,
        )
        if way == "plain":
            self.maps = drawn.coherence.maps.float().numpy()
        if way == "guided":
            edited = drawn.coherence.masks[:, self.drawing.n_steps // 2]
            self.n_edited = edited.flatten(2).sum(-1).numpy()
        pictures = (drawn.images * 255).round().astype(np.uint8)
        readings = [read(pixels, pairs) for pixels, pairs in zip(pictures, self.asked, strict=True)]
        if way == "plain":
            self.plain = readings
        return readings

    @property
    def places(self) -> NDArray[np.bool_]:
        """Where the parts of the plain pictures are, on the grid of tokens (B, 2, GRID, GRID).

        A token belongs to the part that covers most of it: a cross covers no token by half.
        """
        masks = np.array([reading.masks for reading in self.plain])
        covered = masks.reshape(len(masks), 2, GRID, CELL, GRID, CELL).mean((3, 5))
        return np.asarray((covered > 0) & (covered == covered.max(1, keepdims=True)))

    def points_right(self) -> NDArray[np.bool_]:
        """Says of each found picture, step and part whether its map is stronger on its own."""
        own, other = self.places[:, None], self.places[:, None, ::-1]
        on_own = (self.maps * own).sum((-1, -2)) / own.sum((-1, -2))
        on_other = (self.maps * other).sum((-1, -2)) / other.sum((-1, -2))
        found = [reading.is_found for reading in self.plain]
        return np.asarray((on_own > on_other)[found])

    def _anywhere(self) -> NDArray[np.bool_]:
        """Returns masks with as many places as those the guided way finds half-way, anywhere."""
        drawn = np.zeros((len(self.asked), 2, GRID * GRID), bool)
        for row, number in enumerate(self.numbers):
            rng = generator(self.drawing.seed, "anywhere", self.task, number)
            for part in range(2):
                drawn[row, part, rng.permutation(GRID * GRID)[: self.n_edited[row, part]]] = True
        return drawn.reshape(len(self.asked), 2, GRID, GRID)
