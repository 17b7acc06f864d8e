"""What does a quantiser do? Vectors in, short words of codes out, and back.

Letters: N items, D width, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError, NotFittedError


class Quantizer(Protocol):
    """Anything that spells vectors by codes; `check_health` tells whether it does so well."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each level, (L,)."""

    @property
    def n_levels(self) -> int:
        """L."""
        return len(self.sizes)

    def fit(self, vectors: NDArray[np.float32]) -> Self:
        """Learns from the vectors float32 (N, D) of a catalogue."""

    def fit_encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """Learns from a catalogue and returns its codes int32 (N, L).

        They are those of `encode`, but where a quantiser balances its catalogue.
        """
        return self.fit(vectors).encode(vectors)

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """Returns codes int32 (N, L), coarse to fine; different items may share all of them."""

    def decode(self, codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns what codes stand for, float32 (N, D).

        Fewer than L columns give coarser vectors; columns beyond L only tell items apart, and add
        nothing.
        """

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned; NotFittedError before `fit`."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Takes back what `arrays` gave, into a quantiser of the same settings."""


def check_counts(**counts: int) -> None:
    """Raises DataError unless every setting is at least 1."""
    if min(counts.values()) < 1:
        given = ", ".join(f"{name}={count}" for name, count in counts.items())
        raise DataError(f"each of these must be at least 1; got {given}")


def check_fitted(quantizer: object, attribute: str) -> None:
    """Raises NotFittedError unless a quantiser has what `fit` learns."""
    if not hasattr(quantizer, attribute):
        raise NotFittedError(f"{type(quantizer).__name__} is not fitted; call fit(vectors) first")
