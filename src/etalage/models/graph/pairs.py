"""Which pairs of a user and an item are learnt from, and against what? Batches of a log.

Letters: U users, N items, M pairs of the log, each once, B pairs of a batch, K negatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etalage.data.negatives import NegativeSampler
from etalage.data.ragged import ItemSets

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Sampling = Literal["edge", "user"]


class Batch(NamedTuple):
    """Pairs of the log, and items that stand against them."""

    users: Tensor  # int64 (B,)
    items: Tensor  # int64 (B,)
    negatives: (
        Tensor  # int64 (K,) for all pairs, no two alike, or (B,), one that the user never took
    )


class Pairs:
    """Batches of one epoch: as many pairs as the log has.

    With `sampling="edge"` they are the pairs of the log in random order; with "user" a user is
    drawn evenly and then one of their items, as LightGCN's authors do it, which weighs those who
    took much less.
    """

    def __init__(
        self, seen: csr_array, sampling: Sampling, batch_size: int, n_negatives: int | None
    ) -> None:
        """`seen` (U, N) says who took what; `n_negatives` are shared by a batch, or, where it is
        None, each pair has one of its own, exact."""
        self.starts, self.items = seen.indptr.astype(np.int64), seen.indices
        sizes = np.diff(self.starts)
        self.users = np.repeat(np.arange(seen.shape[0]), sizes)
        self.people = np.flatnonzero(sizes)
        self.sampling, self.batch_size = sampling, batch_size
        self.n_items, self.n_negatives = seen.shape[1], n_negatives
        self.taken = np.unique(self.items)  # against what no one took nothing is to be learnt
        self.n_batches = -(-len(self.items) // batch_size)
        self.unseen = None
        if n_negatives is None:
            weights = None
            if len(self.taken) < self.n_items:
                weights = np.zeros(self.n_items, np.int64)
                weights[self.taken] = 1
            sets = ItemSets(self.starts, self.items)
            self.unseen = NegativeSampler(sets, self.n_items, weights)

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yields what one epoch learns from."""
        users, items, n_pairs = self.users, self.items, len(self.items)
        if self.sampling == "user":
            users, items = self._of_people(rng)
        # all at once, while users stand in order: what is looked up of one is near that of the next
        unseen = None if self.unseen is None else self.unseen.draw(users, 1, rng)[:, 0]
        order = rng.permutation(n_pairs)
        for start in range(0, n_pairs, self.batch_size):
            pairs = order[start : start + self.batch_size]
            if unseen is None:
                n = min(self.n_negatives or 0, len(self.taken))
                negatives = rng.choice(self.taken, n, replace=False, shuffle=False)
            else:
                negatives = unseen[pairs]
                can = negatives >= 0  # someone who took everything has nothing that they left
                pairs, negatives = pairs[can], negatives[can]
            if len(pairs):
                parts = users[pairs], items[pairs], negatives
                yield Batch(*(torch.from_numpy(part.astype(np.int64)) for part in parts))

    def _of_people(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Users drawn evenly, in order, and one of the items of each, (M,) both."""
        if not len(self.people):
            return self.people, self.items
        drawn = rng.integers(0, len(self.people), len(self.items))
        users = np.repeat(self.people, np.bincount(drawn, minlength=len(self.people)))
        sizes = self.starts[users + 1] - self.starts[users]
        return users, self.items[self.starts[users] + rng.integers(0, sizes)]
