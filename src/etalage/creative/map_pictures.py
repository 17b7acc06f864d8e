"""How do the map and the mask of an object look? Laid over the picture that they are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from etalage.errors import DataError

if TYPE_CHECKING:
    from etalage.creative.coherence import Coherence

COLOURS = "magma"
HEAT = 0.6
"""How much of a picture its map covers."""
DIM = 0.25
"""How bright a picture stays outside of a mask."""


@dataclass(frozen=True)
class ObjectPicture:
    """An object in a picture: its map and its mask, over the picture."""

    object: str
    map: Image.Image
    mask: Image.Image


def picture_objects(
    image: Image.Image, coherence: Coherence, n: int = 0, step: int = -1
) -> tuple[ObjectPicture, ...]:
    """Lays the map and the mask of each object over a picture.

    Args:
        image: the picture of row `n`.
        coherence: of its run, with pixels in rows and columns.
        n: which image of the run it is.
        step: whose maps; the last by default, counted from the end where below 0.

    Raises:
        DataError: for an image or a step that the run does not have, or maps without rows.
    """
    n_images, n_steps = coherence.edited.shape[:2]
    if coherence.maps.ndim != 5:
        raise DataError(
            "these maps have no rows and columns; give them by on_grid((rows, columns))"
        )
    if not 0 <= n < n_images or not -n_steps <= step < n_steps:
        raise DataError(
            f"the run has {n_images} images and {n_steps} steps; got image {n}, step {step}"
        )
    names = coherence.objects[n] if coherence.objects else ()
    n_objects = len(names) or coherence.maps.shape[2]
    found = []
    for k in range(n_objects):
        name = names[k] if names else f"object {k + 1}"
        map_ = coherence.maps[n, step, k].numpy()
        mask = coherence.masks[n, step, k].numpy()
        found.append(ObjectPicture(name, _heated(image, map_), lit(image, mask)))
    return tuple(found)


def lit(image: Image.Image, share: NDArray[Any]) -> Image.Image:
    """Leaves a picture as bright as it is where the share is 1 or True, and dims it towards 0.

    Args:
        image: the picture.
        share: (rows, columns) of pixels of a mask, laid over it; truth values keep their edges.
    """
    plain = image.convert("RGB")
    dark = Image.blend(Image.new("RGB", image.size), plain, DIM)
    light = Image.fromarray((255 * share).astype(np.uint8))
    way = Image.Resampling.NEAREST if share.dtype == bool else Image.Resampling.BICUBIC
    return Image.composite(plain, dark, light.resize(image.size, way))


def _heated(image: Image.Image, map_: NDArray[np.float32]) -> Image.Image:
    import matplotlib

    low, high = float(map_.min()), float(map_.max())
    scaled = (map_ - low) / (high - low) if high > low else np.zeros_like(map_)
    grey = Image.fromarray((255 * scaled).round().astype(np.uint8))
    smooth = np.asarray(grey.resize(image.size, Image.Resampling.BICUBIC))
    heat = matplotlib.colormaps[COLOURS](smooth, bytes=True)[..., :3]
    return Image.blend(image.convert("RGB"), Image.fromarray(heat), HEAT)
