"""What will a graph cost in memory? Told before anything is taken.

Letters: U users, N items, V = U + N nodes, M pairs of a user and an item, D width, B pairs of a
batch.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOAT, LONG, LINK = 4, 8, 4
"""Bytes of a number, of a whole number, and of one of the two ends of a link."""


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes by what they are for, at the peak of a step of training."""

    parts: dict[str, int]

    @property
    def gigabytes(self) -> float:
        """All parts together."""
        return sum(self.parts.values()) / 1e9

    def __str__(self) -> str:
        said = ", ".join(f"{name} {size / 1e9:.2g}" for name, size in self.parts.items())
        return f"about {self.gigabytes:.2g} GB ({said})"


def memory_plan(
    n_users: int, n_items: int, n_pairs: int, width: int, batch_size: int
) -> MemoryPlan:
    """Plans a fit whose every step propagates the whole graph once.

    >>> print(memory_plan(1_000_000, 100_000, 20_000_000, 64, 100_000))  # doctest: +ELLIPSIS
    about 3.9 GB (vectors 0.28, optimiser 0.56, a step 1.4, links 0.18, pairs 0.64, batch 0.2, ...
    """
    n_nodes = n_users + n_items
    table = n_nodes * width * FLOAT
    batch = min(batch_size, n_pairs)
    return MemoryPlan(
        {
            "vectors": table,
            "optimiser": 2 * table,
            # the mean of layers, what it is made of, and the gradients of both and of the vectors
            "a step": 5 * table,
            "links": 2 * n_pairs * LINK + n_nodes * (LONG + 2 * FLOAT),
            # users, items, their order, and both drawn anew in an epoch of users drawn evenly
            "pairs": n_pairs * (LONG + LINK + LONG + LONG + LINK),
            # vectors of both ends, of length 1 and as they are, and gradients of these; scores are
            # made and left a few rows at a time
            "batch": batch * width * FLOAT * 8,
            # the best state, and what scores: vectors, and what an item adds to a history
            "kept": 2 * table + n_items * width * FLOAT,
        }
    )
