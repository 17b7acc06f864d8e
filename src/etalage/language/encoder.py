"""What does an encoder do? Texts in, vectors out, near each other where the meaning is.

Letters: N texts, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Anything that turns texts into vectors, ready to be used."""

    @property
    def width(self) -> int:
        """D."""

    @property
    def fingerprint(self) -> str:
        """Names what it computes, weights and settings included: another one, other vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D): unit rows, or zeros for a text that says nothing.

        A text's row does not depend on the texts beside it.
        """
