"""What does a quantiser do? Vectors in, short words of codes out, and back.

Letters: N items, D width, L levels, K codes of a level.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Quantizer(Protocol):
    """Anything that spells vectors by codes; `check_health` tells whether it does so well."""

    n_levels: int
    """L."""
    n_codes: int
    """K."""

    def fit(self, vectors: NDArray[np.float32]) -> Self:
        """Learns from the vectors float32 (N, D) of a catalogue."""

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """Returns codes int32 (N, L), coarse to fine; different items may share all of them."""

    def decode(self, codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns what codes stand for, float32 (N, D); fewer columns give coarser vectors."""
