"""Where did each object stand while it was drawn? What a guided run found, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Coherence:
    """What was found and done at each step of a run.

    Letters: N images, T steps, K objects, h x w pixels of the transformer. Objects stand in the
    order of the bindings; where an image has fewer than K, the rest is 0 or False. Masks and
    separation of a step are found in its maps, and used at the step after it.
    """

    maps: Tensor
    """float32 (N, T, K, h, w), or (N, T, K, pixels): attention to the object's word."""
    masks: Tensor
    """bool, of the shape of the maps."""
    separation: Tensor
    """float32 (N, T, K): see `etalage.creative.masks.two_means`."""
    edited: Tensor
    """bool (N, T, K): whether the step was edited for the object."""
    objects: tuple[tuple[str, ...], ...] = ()
    """The words of the objects, by image."""

    def on_grid(
        self, grid: tuple[int, int], objects: tuple[tuple[str, ...], ...] = ()
    ) -> Coherence:
        """Returns the same with pixels in rows and columns, and objects named."""
        shape = (*self.maps.shape[:3], *grid)
        maps, masks = self.maps.reshape(shape), self.masks.reshape(shape)
        return replace(self, maps=maps, masks=masks, objects=objects or self.objects)
