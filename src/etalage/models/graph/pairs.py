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
        self.n_batches = -(-len(self.items) // batch_size)
        if n_negatives is None:
            self.unseen = NegativeSampler(ItemSets(self.starts, self.items), self.n_items)

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yields what one epoch learns from."""
        n_pairs = len(self.items)
        order = rng.permutation(n_pairs) if self.sampling == "edge" else self._of_people(rng)
        for start in range(0, n_pairs, self.batch_size):
            pairs = order[start : start + self.batch_size]
            users, items = self.users[pairs], self.items[pairs]
            if self.n_negatives is not None:
                n = min(self.n_negatives, self.n_items)
                negatives = rng.choice(self.n_items, n, replace=False, shuffle=False)
            else:
                negatives = self.unseen.draw(users, 1, rng)[:, 0]
                can = negatives >= 0  # someone who took everything has nothing that they left
                users, items, negatives = users[can], items[can], negatives[can]
            yield Batch(*(torch.from_numpy(a.astype(np.int64)) for a in (users, items, negatives)))

    def _of_people(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of M pairs: of users drawn evenly, a pair each."""
        people = rng.choice(self.people, len(self.items)) if len(self.people) else self.people
        sizes = self.starts[people + 1] - self.starts[people]
        return self.starts[people] + rng.integers(0, sizes)
