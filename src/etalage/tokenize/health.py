"""Are these ids any good? What to look at before a model is trained on them.

Letters: N items, L levels, K codes of a level.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.tokenize.quantizer import Quantizer

N_NEIGHBOURS = 10
MOST_ASKED = 2000
"""Items whose neighbours are looked up, spread evenly; enough for two digits."""


@dataclass(frozen=True)
class HealthReport:
    """Figures of one spelling, before equals were told apart; levels from coarse to fine."""

    n_items: int
    explained: tuple[float, ...]
    """Share of the vectors' variance that codes up to a level reproduce, 0 to 1."""
    perplexity: tuple[float, ...]
    """Codes in use at a level, counted by 2 ** entropy: K when all are used alike."""
    dead_codes: tuple[int, ...]
    """Codes of a level that no item has."""
    collision_rate: float
    """Share of items that have all codes in common with another item."""
    largest_collision: int
    """Items in the largest such group; 1 when there is none."""
    neighbour_agreement: float
    """Share of the 10 nearest items by vector that share the first code; NaN for one item."""
    chance_agreement: float
    """The same for items drawn at random: what `neighbour_agreement` must beat."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON-ready values, lists for tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def check_health(quantizer: Quantizer, vectors: NDArray[np.float32]) -> HealthReport:
    """Spells the vectors float32 (N, D) with a fitted quantiser and measures the result."""
    codes = quantizer.encode(vectors)
    n_items = len(codes)
    counts = [np.bincount(code, minlength=quantizer.n_codes) for code in codes.T]  # L of (K,)
    spread = ((vectors - vectors.mean(0)) ** 2).sum(dtype=np.float64)
    missed = [
        ((vectors - quantizer.decode(codes[:, : level + 1])) ** 2).sum(dtype=np.float64)
        for level in range(codes.shape[1])
    ]
    groups = np.unique(codes, axis=0, return_counts=True)[1]
    first = counts[0].astype(np.float64)
    return HealthReport(
        n_items=n_items,
        # equal vectors have no variance, and any code reproduces it
        explained=tuple(float(1 - m / spread) if spread > 0 else 1.0 for m in missed),
        perplexity=tuple(_perplexity(count) for count in counts),
        dead_codes=tuple(int((count == 0).sum()) for count in counts),
        collision_rate=float(groups[groups > 1].sum() / n_items),
        largest_collision=int(groups.max()),
        neighbour_agreement=_agreement(vectors, codes[:, 0]),
        chance_agreement=float((first * (first - 1)).sum() / max(n_items * (n_items - 1), 1)),
    )


def _perplexity(counts: NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(2 ** -(share * np.log2(share)).sum())


def _agreement(vectors: NDArray[np.float32], first: NDArray[np.int32]) -> float:
    n_items = len(vectors)
    n_neighbours = min(N_NEIGHBOURS, n_items - 1)
    if n_neighbours < 1:
        return float("nan")
    asked = np.unique(np.linspace(0, n_items - 1, min(n_items, MOST_ASKED)).astype(np.int64))
    norms = (vectors * vectors).sum(1)  # (N,)
    shared = 0
    for part in np.array_split(asked, -(-len(asked) // 256)):
        apart = norms - 2 * (vectors[part] @ vectors.T)  # (part, N), short of the own norm
        apart[np.arange(len(part)), part] = np.inf
        near = np.argpartition(apart, n_neighbours - 1, axis=1)[:, :n_neighbours]
        shared += int((first[near] == first[part, None]).sum())
    return shared / (len(asked) * n_neighbours)
