"""Which histories go through a network together? Tensors for models that read in order.

Letters: B people, L history length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etalage.data.ragged import Histories


def newest_tensor(histories: Histories, length: int) -> Tensor:
    """The newest `length` items, int64 (B, <= length), left-padded with -1."""
    newest = histories.newest(length).items
    # leading columns that are padding for everyone cost time and change nothing
    width = max(int((newest >= 0).sum(1).max(initial=0)), 1)
    return torch.from_numpy(newest[:, -width:].astype(np.int64))


def few_lengths(length: int) -> int:
    """`length`, rounded up to one of few: all to 8, then four between a power of two and the next.

    Libraries of matrix products prepare and keep a program for every shape they meet, a megabyte
    each where there are units for bfloat16; a few columns of padding cost less.
    """
    step = 1 << max((length - 1).bit_length() - 3, 0)
    return -(-length // step) * step


class Sequences:
    """Training batches: people of like length together, so that little is padding."""

    def __init__(
        self, items: NDArray[np.int32], offsets: NDArray[np.int64], length: int, batch_size: int
    ) -> None:
        self.items = items
        starts, stops = offsets[:-1], offsets[1:]
        usable = stops - starts >= 2  # one item to read, one to predict
        self.starts, self.stops = starts[usable], stops[usable]
        self.length = length
        self.batch_size = batch_size
        self.n_batches = -(-len(self.starts) // batch_size)

    def batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """Yields histories int64 (B, <= L + 1); who stands with whom changes every epoch."""
        sizes = np.minimum(self.stops - self.starts, self.length + 1)
        # sorting by length with random ties keeps batches dense and still mixes people
        order = np.lexsort((rng.random(len(sizes)), sizes))
        for batch in rng.permutation(self.n_batches):
            people = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            read = min(few_lengths(int(sizes[people].max()) - 1), self.length)
            starts, stops = self.starts[people], self.stops[people]
            rows = Histories.from_slices(self.items, starts, stops, read + 1)
            yield torch.from_numpy(rows.items.astype(np.int64))


class Prefixes(Sequences):
    """Every position as a row of its own: at most L items and, last, the one that followed.

    Where `Sequences` asks of a history longer than L + 1 about its newest items alone, here all are
    asked about.
    """

    def __init__(
        self, items: NDArray[np.int32], offsets: NDArray[np.int64], length: int, batch_size: int
    ) -> None:
        super().__init__(items, offsets, length, batch_size)
        sizes = self.stops - self.starts
        asked = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self.starts = np.repeat(self.starts, sizes)
        self.stops = self.starts + asked + 1
        self.n_batches = -(-len(self.starts) // batch_size)
