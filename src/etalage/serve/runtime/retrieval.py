"""Which items come near? From the state of a history to candidates, by products or by writing.

Letters: N items, D width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from etalage.serve.runtime.networks import session
from etalage.serve.runtime.writer import Writer

NEIGHBOURHOOD = 4
"""Items scored exactly after a rough scan, for each that is wanted."""
LEAST_NEAR = 100
"""Items scored exactly after a rough scan at least."""
LEAST = np.finfo(np.float32).min


class Retrieval(Protocol):
    """A way to candidates."""

    def __call__(
        self, state: NDArray[np.float32], n: int, hidden: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The n best items for a state (D,) without the hidden ones, and their scores.

        Best first; equals in the order of the items.
        """


def retrieval_of(folder: Path, vectors: NDArray[np.float32]) -> Retrieval:
    """The way that a bundle brings along; ValueError where its parts do not fit together."""
    if (folder / "writer.npz").exists():
        return Writer.load(folder)
    if (folder / "scan.onnx").exists():
        return Scan(session(folder / "scan.onnx"), vectors)
    return Products(vectors)


class Products:
    """A score is state · vector, of every item that has one; zeros say that nothing is known."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors  # (N, D)
        self.unknown = np.flatnonzero(~vectors.any(1))

    def __call__(
        self, state: NDArray[np.float32], n: int, hidden: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        scores = self.vectors @ state  # (N,)
        scores[hidden] = scores[self.unknown] = -np.inf
        near = largest(scores, n)
        return _best(near, scores[near], n)


class Scan:
    """A scan in 8 bits finds the neighbourhood, exact products the order in it."""

    def __init__(self, scan: onnxruntime.InferenceSession, vectors: NDArray[np.float32]) -> None:
        self.scan, self.vectors = scan, vectors
        self.unknown = np.flatnonzero(~vectors.any(1))

    def __call__(
        self, state: NDArray[np.float32], n: int, hidden: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        rough = self.scan.run(["scores"], {"state": state[None]})[0][0]
        rough[hidden] = rough[self.unknown] = -np.inf
        near = largest(rough, max(NEIGHBOURHOOD * n, LEAST_NEAR))
        return _best(near, self.vectors.take(near, 0) @ state, n)


def _best(
    items: NDArray[np.int64], scores: NDArray[np.float32], n: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    best = largest(scores, n)
    order = best[(-scores[best]).argsort(kind="stable")[:n]]
    return items[order].astype(np.int32), scores[order]


def largest(scores: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """Indices of the n largest scores (N,), in the order of the items; none of minus infinity.

    Where there are many scores, a few more than n: the n-th largest of the maxima of blocks is a
    floor that few others reach, and it is found in a third of the time.
    """
    n = min(n, len(scores))
    if not n:
        return np.zeros(0, dtype=np.int64)
    n_blocks = 8 * n
    depth = len(scores) // n_blocks
    tops = scores if depth < 2 else scores[: depth * n_blocks].reshape(depth, n_blocks).max(0)
    floor = np.partition(tops, len(tops) - n)[len(tops) - n]
    return (scores >= max(floor, LEAST)).nonzero()[0]
