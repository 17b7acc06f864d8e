"""How do rows reach a network? As tensors, cut to batches without a Python object a row.

Letters: B rows of a batch, F category fields, M numbers, L history length, W places of bags.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from etalage.data.features import FeatureTable

HELD = 2 << 30
"""Bytes of a mapped table from which on its rows are drawn from a pool and not from all of it."""
POOL = 64
"""Batches in a pool."""


class Batch(NamedTuple):
    """Some rows of a table; what the table does not have is None."""

    categories: Tensor  # (B, F) whole numbers
    numbers: Tensor  # (B, M)
    history: Tensor | None = None  # (B, L), or (1, L) where it is the same for all
    bags: Tensor | None = None  # (B, W)
    clicks: Tensor | None = None  # (B,)

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same blocks, each changed alike."""
        blocks: Any = [None if block is None else change(block) for block in self]
        return Batch(*blocks)

    def on(self, device: torch.device | str) -> Batch:
        """The same rows on a device."""
        return self.each(lambda block: block.to(device))


class Rows:
    """The rows of a table, on the device where they are read.

    A mapped table of more than `HELD` bytes stays where it is: each epoch visits its stretches of
    one batch in another order, and rows are mixed among the `POOL` stretches that are in memory.
    """

    def __init__(self, table: FeatureTable, device: torch.device | str = "cpu") -> None:
        names = ("categories", "numbers", "history", "bags", "clicks")
        blocks: Any = [getattr(table, name) for name in names]
        size = sum(block.nbytes for block in blocks if block is not None)
        self.device = device
        self.is_far = isinstance(table.categories, np.memmap) and size > HELD
        here = Batch(*blocks).each(_same_memory)
        self.all = here if self.is_far else here.on(device)
        self.n = len(table)

    def shuffled(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """All rows once, in batches of `size`; the last one may be smaller."""
        if not self.is_far:
            yield from _cut(self.all, size, rng)
            return
        starts = rng.permutation(np.arange(0, self.n, size))
        for first in range(0, len(starts), POOL):
            stretches = [slice(s, s + size) for s in starts[first : first + POOL].tolist()]
            pool = self.all.each(partial(_joined, stretches=stretches))
            yield from _cut(pool.on(self.device), size, rng)

    def part(self, start: int, end: int) -> Batch:
        """Rows as they stand."""
        return self.all.each(lambda block: block[start:end]).on(self.device)


def _same_memory(block: Any) -> Tensor:
    if any(stride < 0 for stride in block.strides):  # rows in reverse, which torch cannot read
        block = block.copy()
    if block.flags.writeable:
        return torch.from_numpy(block)
    with warnings.catch_warnings():  # torch fears a write to what is read only; none happens here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(block)


def _cut(rows: Batch, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    device = rows.categories.device
    draw = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    order = torch.randperm(len(rows.categories), generator=draw, device=device)
    for some in order.split(size):
        yield rows.each(partial(torch.index_select, dim=0, index=some))


def _joined(block: Tensor, stretches: list[slice]) -> Tensor:
    parts = [block[stretch] for stretch in stretches]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
