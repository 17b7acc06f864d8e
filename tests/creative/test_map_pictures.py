"""Maps and masks lie over the picture where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from etalage.creative.coherence import Coherence
from etalage.creative.map_pictures import picture_objects
from etalage.errors import DataError


def found() -> Coherence:
    """Two images; in the second, an object at the top left and no other."""
    maps = torch.zeros(2, 3, 2, 8)
    maps[1, 2, 0, 0] = 0.5
    edited = torch.zeros(2, 3, 2, dtype=torch.bool)
    return Coherence(maps, maps > 0, edited.float(), edited)


def test_a_map_glows_and_a_mask_keeps_the_light_where_the_object_is() -> None:
    image = Image.new("RGB", (64, 32), (200, 200, 200))
    coherence = found().on_grid((2, 4), (("mug", "pan"), ("cup",)))
    (cup,) = picture_objects(image, coherence, n=1)
    assert cup.object == "cup"
    assert cup.map.size == cup.mask.size == image.size
    glow, light = np.asarray(cup.map).astype(int), np.asarray(cup.mask)
    assert glow[4, 4].sum() > glow[28, 60].sum() + 200
    assert (light[:16, :16] == 200).all()
    assert (light[16:] == 50).all()
    assert (light[:, 16:] == 50).all()
    mug, pan = picture_objects(image, coherence, n=0)
    assert (mug.object, pan.object) == ("mug", "pan")
    assert len(np.unique(np.asarray(mug.map).reshape(-1, 3), axis=0)) == 1, "a flat map is even"


def test_objects_without_words_are_counted() -> None:
    pictures = picture_objects(Image.new("L", (8, 8)), found().on_grid((2, 4)), step=0)
    assert [picture.object for picture in pictures] == ["object 1", "object 2"]


@pytest.mark.parametrize(("n", "step"), [(2, 0), (-1, 0), (0, 3), (0, -4)])
def test_what_the_run_does_not_have_is_refused(n: int, step: int) -> None:
    with pytest.raises(DataError, match="the run has 2 images and 3 steps"):
        picture_objects(Image.new("RGB", (8, 8)), found().on_grid((2, 4)), n, step)
    with pytest.raises(DataError, match="have no rows and columns"):
        picture_objects(Image.new("RGB", (8, 8)), found())
