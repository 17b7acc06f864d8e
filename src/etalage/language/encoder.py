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

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D): unit rows, or zeros for a text that says nothing."""
