"""What do all lists show together? Coverage, concentration and novelty.

Letters: Q lists, k places, N items.

- `coverage@k`: share of the catalogue that stands in at least one list.
- `gini@k`: inequality of how often items are shown, over the whole catalogue: 0 when all are
  shown equally often, near 1 when the same few are shown to everyone.
- `novelty@k`: mean self-information in bits of the items shown, -log2 p(i), with
  p(i) = (n_i + 1) / Σ_j (n_j + 1) and n_i the training interactions of i; the added one keeps
  an item that nobody had taken finite.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError


class Exposure:
    """Counts how often each item is shown, one batch of lists at a time.

    `popularity`, the training interactions of each item (N,), is needed for novelty alone.
    """

    def __init__(
        self, n_items: int, ks: Sequence[int], popularity: NDArray[np.integer] | None = None
    ) -> None:
        self.ks = ks
        self.shown = np.zeros((len(ks), n_items), dtype=np.int64)
        self.bits = None if popularity is None else self_information(popularity, n_items)

    def add(self, lists: NDArray[np.int32]) -> None:
        """Counts the lists of a batch, int32 (B, k), -1 where empty."""
        for counts, k in zip(self.shown, self.ks, strict=True):
            items = lists[:, :k]
            counts += np.bincount(items[items >= 0], minlength=len(counts))

    def metrics(self) -> dict[str, float]:
        """Coverage, Gini and perhaps novelty; NaN where nothing was shown."""
        found: dict[str, float] = {}
        for counts, k in zip(self.shown, self.ks, strict=True):
            total = counts.sum()
            found[f"coverage@{k}"] = float((counts > 0).mean())
            found[f"gini@{k}"] = gini(counts)
            if self.bits is not None:
                found[f"novelty@{k}"] = float(counts @ self.bits / total) if total else np.nan
        return found


def gini(counts: NDArray[np.integer]) -> float:
    """Gini coefficient of counts (N,): Σ_i (2i - N - 1) x_i / (N Σ x), x ascending; NaN for none.

    >>> gini(np.array([3, 3, 3])), gini(np.array([0, 0, 0, 8]))
    (0.0, 0.75)
    """
    n = len(counts)
    total = counts.sum()
    if not total:
        return np.nan
    place = np.arange(1, n + 1)
    return float(((2 * place - n - 1) * np.sort(counts)).sum() / (n * total))


def self_information(popularity: NDArray[np.integer], n_items: int) -> NDArray[np.float64]:
    """Bits of surprise of each item, float64 (N,)."""
    if popularity.shape != (n_items,):
        raise DataError(
            f"training popularity has shape {popularity.shape}; expected one count for each of "
            f"the {n_items} items: pass Interactions.popularity() of the training log"
        )
    counts = popularity.astype(np.float64) + 1
    return -np.log2(counts / counts.sum())
