"""Which pixels show an object? Masks from the attention that pixels pay to the word of it.

Letters: N images, K objects, P pixels (tokens of the picture).
"""

from __future__ import annotations

import torch
from torch import Tensor

from etalage.errors import DataError

FLAT = 1e-3
"""A map whose standard deviation is less than this share of its mean shows rounding, no object."""


def two_means(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Parts the values of each map in two so that they differ least within the parts (2-means).

    In one dimension the best parts are those of a sorted list, so all places to cut it are tried:
    exact, without a seed, and the same as Otsu's threshold of the values as they are.

    Args:
        maps: float (..., P).

    Returns:
        The least value of the upper part, (..., 1), and how far the parts stand apart, (...): the
        variance between them over all variance, which is 1 for two values, 0.75 for a ramp, 0.64
        for noise of a normal distribution and 0 for a flat map.

    Raises:
        DataError: for maps of less than two pixels.

    >>> threshold, separation = two_means(torch.tensor([0.1, 0.9, 0.2, 0.8]))
    >>> threshold.item() > 0.2, round(separation.item(), 2)
    (True, 0.98)
    """
    n = maps.shape[-1]
    if n < 2:
        raise DataError(f"a map of {n} pixels has no two parts; make a larger picture")
    mean = maps.mean(-1, keepdim=True)
    ordered = (maps - mean).sort(dim=-1).values
    sizes = torch.arange(1, n, device=maps.device, dtype=maps.dtype)
    # of centred values the lower part adds up to -s where the upper adds up to s
    between = ordered.cumsum(-1)[..., :-1].square() * (n / (sizes * (n - sizes)))
    most, cut = between.max(-1, keepdim=True)
    all_variance = ordered.square().sum(-1, keepdim=True) + n * (FLAT * mean).square()
    separation = (most / all_variance.clamp_min(torch.finfo(maps.dtype).tiny)).squeeze(-1)
    return maps.sort(dim=-1).values.gather(-1, cut + 1), separation


def largest(maps: Tensor, shares: Tensor) -> Tensor:
    """Returns the least value of the given share of pixels that are highest.

    The published code lowers a threshold by hundredths of the highest value until the share is
    reached, and overshoots by up to one; this is exact.

    Args:
        maps: float (..., P).
        shares: float (...), each in (0, 1]; at least one pixel is kept.
    """
    n = maps.shape[-1]
    kept = (shares * n - 1e-6).ceil().long().clamp(1, n)
    return maps.sort(dim=-1).values.gather(-1, (n - kept).unsqueeze(-1))


def exclusive(masks: Tensor, maps: Tensor, is_clear: Tensor) -> Tensor:
    """Leaves each pixel to the object whose map is highest there, in standard deviations.

    A map that shows no object takes no pixel: what is highest in it is rounding.

    Args:
        masks: bool (N, K, P).
        maps: float (N, K, P).
        is_clear: bool (N, K), false for maps that show no object, or of which an image has none.
    """
    spread = maps.std(-1, keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    scores = (maps - maps.mean(-1, keepdim=True)) / spread
    scores = scores.masked_fill(~is_clear.unsqueeze(-1), float("-inf"))
    owner = scores.argmax(dim=1, keepdim=True)  # (N, 1, P)
    objects = torch.arange(masks.shape[1], device=masks.device).view(1, -1, 1)
    return masks & (owner == objects) & is_clear.unsqueeze(-1)
