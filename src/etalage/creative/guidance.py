"""How firmly are attributes held to their objects? The settings of self-coherence guidance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from etalage.errors import RecipeError


@dataclass(frozen=True)
class Guidance:
    """How attributes are held to their objects; the defaults are the published ones.

    Raises:
        RecipeError: for a setting that says nothing sensible.
    """

    strength: float = 4.0
    """c, by which attention to an attribute is multiplied within its object; 2 is the careful
    choice, since more of it spoils shapes, and 1 strengthens nothing."""
    start: float = 0.08
    """Share of the steps before the first one that is edited; step 0 has no masks to go by."""
    stop: float = 1.0
    """Share of the steps after which nothing is edited."""
    mask: Literal["two_means", "ratio"] = "two_means"
    """How the pixels of an object are told from others: by values alone, or by the share of the
    picture that it should have, for parts that are smaller than what is around them."""
    layers: tuple[int, ...] | None = None
    """Which layers are edited, None for all. Maps are the mean of all: no single layer of a
    transformer has a clear one."""
    renormalize: bool = False
    """Whether attention of a pixel adds up to 1 after the edit; published: it does not."""
    suppress: float = 1.0
    """By which attention to an attribute is multiplied within objects that are not its own."""
    exclusive: bool = False
    """Whether a pixel belongs to the object alone whose map is highest there."""
    least_separation: float = 0.5
    """An object is not edited for at a step where the parts of its map stand apart less than this
    (variance between them over all of it); noise has 0.64, so this leaves out flat maps only."""

    def __post_init__(self) -> None:
        for name in ("strength", "suppress"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise RecipeError(f"{name} is a finite factor of at least 0; got {value}")
        if not 0 <= self.start <= self.stop <= 1:
            raise RecipeError(
                "start and stop are shares of the steps, 0 <= start <= stop <= 1; got "
                f"{self.start} and {self.stop}"
            )
        if self.mask not in ("two_means", "ratio"):
            raise RecipeError(f"mask is 'two_means' or 'ratio'; got {self.mask!r}")
        if not 0 <= self.least_separation <= 1:
            raise RecipeError(f"least_separation is in 0 to 1; got {self.least_separation}")
        layers = self.layers
        if layers is not None and (not layers or any(number < 0 for number in layers)):
            raise RecipeError(f"layers are numbers from 0, or None for all; got {layers!r}")

    @property
    def edits(self) -> bool:
        """Whether anything is edited at all."""
        return self.strength != 1 or self.suppress != 1
