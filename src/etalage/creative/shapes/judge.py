"""What does a picture of shapes show? Read off the pixels, by somebody who never sees a model.

The parts that were asked for are laid on the picture wherever they can be, and the place that
covers what is drawn best counts. Attributes are then measured inside each part. So a part that was
drawn poorly still has an attribute, and how poorly it was drawn is told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from etalage.creative.judge import HALF, Pair, Verdict
from etalage.creative.shapes.pictures import (
    COLOURS,
    DEPTH,
    SHAPES,
    SIDE,
    TEXTURES,
    Masks,
    Pairs,
    Pixels,
    layouts,
    task_of,
    waves,
)
from etalage.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FOUND = 0.6
"""Overlap from which the parts are there; two objects of which one is missing reach a half."""
INK = {"coarse": 200, "fine": 200, "style": 155}
"""Mean of red, green and blue below which a pixel belongs to an object."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture shows of two parts that were asked for."""

    asked: Pairs
    attributes: tuple[str, str]
    """Of each part, as measured."""
    overlap: float
    """Intersection over union of what is drawn and the parts where they fit best."""
    masks: Masks
    """Where the parts were found (2, SIDE, SIDE)."""

    @property
    def is_found(self) -> bool:
        """Whether the parts are there, so that it can be asked how they look."""
        return self.overlap >= FOUND

    @property
    def is_bound(self) -> bool:
        """Whether each part has the attribute that was asked of it."""
        return self.attributes == (self.asked[0][0], self.asked[1][0])

    @property
    def is_exchanged(self) -> bool:
        """Whether each part has the attribute that was asked of the other."""
        return self.attributes == (self.asked[1][0], self.asked[0][0])


def read(pixels: Pixels, asked: Pairs) -> Reading:
    """Reads a picture (SIDE, SIDE, 3).

    Raises:
        DataError: for a picture of another size, or parts that no task draws.

    >>> from etalage.creative.shapes.pictures import draw
    >>> asked = (("red", "circle"), ("blue", "square"))
    >>> reading = read(draw((("blue", "circle"), ("red", "square")), layout=7), asked)
    >>> reading.attributes, reading.overlap, reading.is_exchanged
    (('blue', 'red'), 1.0, True)
    """
    if pixels.shape != (SIDE, SIDE, 3):
        raise DataError(f"expected a picture ({SIDE}, {SIDE}, 3); got {pixels.shape}")
    task = task_of(asked)
    nouns = (asked[0][1], asked[1][1])
    places = layouts(task, nouns)
    drawn = pixels.mean(-1) < INK[task]
    objects = places[:, 0] if task == "style" else places.any(1)
    both = (objects & drawn).sum((1, 2))
    overlaps = both / (objects | drawn).sum((1, 2))
    best = int(overlaps.argmax())
    found = []
    for mask in places[best]:
        if task == "style":
            found.append(_texture(pixels.mean(-1)[mask], mask))
        else:
            found.append(_colour(pixels[mask & drawn] if (mask & drawn).any() else pixels[mask]))
    return Reading(asked, (found[0], found[1]), float(overlaps[best]), places[best])


class ShapeJudge:
    """Says of each pair of a prompt whether a picture of shapes shows it."""

    def __init__(self, threshold: float = HALF) -> None:
        self.threshold = threshold
        self.fingerprint = f"shapes 1, {threshold:g}"

    def check(self, image: Image, pairs: Sequence[Pair]) -> Verdict:
        """Returns a score of 1 for each pair that is shown, and 0 for the others.

        Pairs may come in any order.
        """
        if len(pairs) != 2:
            raise DataError(f"a picture of shapes has two parts; got {len(pairs)}")
        first, second = sorted(pairs, key=lambda pair: pair[1] not in SHAPES)
        asked: Pairs = (first, second)
        reading = read(np.asarray(image), asked)
        return Verdict(
            {
                pair: float(reading.is_found and pair[0] == shown)
                for pair, shown in zip(asked, reading.attributes, strict=True)
            },
            self.threshold,
        )


def _colour(pixels: NDArray[np.uint8]) -> str:
    # how light it is comes of the grain, and of how well it was drawn
    mean = pixels.mean(0) - pixels.mean()

    def misses(name: str) -> float:
        wanted = np.array(COLOURS[name]) - np.mean(COLOURS[name])
        return float(((mean - wanted) ** 2).sum())

    return min(COLOURS, key=misses)


def _texture(greys: NDArray[np.floating], mask: Masks) -> str:
    around = greys - greys.mean()

    def misses(name: str) -> float:
        wanted = DEPTH * waves(name)[mask]
        return float(((around - (wanted - wanted.mean())) ** 2).sum())

    return min(TEXTURES, key=misses)
