"""How is every item spelled apart from the start? A balanced tree of clusters within clusters.

The hierarchical indexer of EAGER-LLM (arXiv 2502.14735): each node splits its items among K
children of equal size, until a leaf holds one item. Where the paper pads a catalogue with copies to
K ** L leaves, sizes here differ by at most one, so that no leaf is empty and no path is shared.
Letters: N items, D width, K codes of a level, L levels, n items of a node, k its children.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from etalage.errors import DataError
from etalage.seeds import generator
from etalage.tokenize.kmeans import (
    BLOCK,
    Vectors,
    checked_vectors,
    kmeans,
    nearest,
    sample_of,
    sums_of,
)
from etalage.tokenize.quantizer import Quantizer, check_counts, check_fitted

EXACT = 4096
"""Items of a node up to which the split is the cheapest one there is."""
N_SPLITS = 3
"""Balanced splits of a node, each about the means of the one before."""


class BalancedTree(Quantizer):
    """A path per item: siblings hold as many items as each other, give or take one.

    The catalogue's own paths come from `fit_encode`: balance may send an item to a child that is
    not its nearest. `encode` is for new vectors, walks to the nearest child of each node, and ends
    at the nearest item there, whose path it returns.
    """

    def __init__(
        self,
        n_codes: int = 256,
        n_levels: int | None = None,
        n_iterations: int = 25,
        seed: int = 0,
    ) -> None:
        check_counts(n_codes=n_codes, n_levels=n_levels or 1, n_iterations=n_iterations)
        if n_codes < 2 or n_levels == 0:
            raise DataError(f"a tree needs n_codes >= 2 and n_levels >= 1 or None; got {n_codes}")
        self.n_codes = n_codes
        self.depth = n_levels
        """L; None for the least that gives every item a leaf."""
        self.n_iterations = n_iterations
        self.seed = seed

    @property
    def sizes(self) -> tuple[int, ...]:
        check_fitted(self, "points")
        return tuple(int(np.diff(edges).max()) for edges in self.edges)

    def fit(self, vectors: Vectors) -> Self:
        """Builds the tree of a catalogue, float32 (N, D)."""
        self.fit_encode(vectors)
        return self

    def fit_encode(self, vectors: Vectors) -> NDArray[np.int32]:
        """Builds the tree and returns the path of each item, int32 (N, L), no two alike."""
        vectors = checked_vectors(vectors)
        n_items, n_levels = len(vectors), self.depth or _least_depth(len(vectors), self.n_codes)
        if self.n_codes**n_levels < n_items:
            raise DataError(
                f"{n_levels} levels of {self.n_codes} codes have {self.n_codes**n_levels:,} leaves "
                f"for {n_items:,} items; give more of either, or leave n_levels to None"
            )
        codes = np.zeros((n_items, n_levels), dtype=np.int32)
        nodes = [np.arange(n_items)]
        self.points: list[Vectors] = []  # a level: (nodes of the next depth, D)
        self.edges: list[NDArray[np.int64]] = []  # a level: (nodes + 1,), where children start
        for level in range(n_levels):
            points, children = [], []
            leaves = self.n_codes ** (n_levels - level - 1)  # of each child
            for number, items in enumerate(nodes):
                # no more children than hold the items, so that paths branch where items differ
                n_children = len(items) if leaves == 1 else min(self.n_codes, len(items))
                split = self._split(vectors[items], n_children, level, number)
                codes[items, level] = split
                order = np.argsort(split, kind="stable")
                ends = np.cumsum(np.bincount(split, minlength=n_children))
                children.append(np.split(items[order], ends[:-1]))
                sums = sums_of(vectors[items], split, n_children)
                points.append(sums / np.diff(ends, prepend=0)[:, None])
            self.points.append(np.concatenate(points).astype(np.float32))
            self.edges.append(np.cumsum([0, *map(len, children)]))
            nodes = [items for family in children for items in family]
        return codes

    def encode(self, vectors: Vectors) -> NDArray[np.int32]:
        """Returns paths int32 (N, L), each that of an item of the catalogue."""
        check_fitted(self, "points")
        vectors = checked_vectors(vectors, self.points[0].shape[1])
        codes = np.zeros((len(vectors), self.n_levels), dtype=np.int32)
        node = np.zeros(len(vectors), dtype=np.int64)
        for level, (points, edges) in enumerate(zip(self.points, self.edges, strict=True)):
            for parent in np.unique(node):
                here = np.flatnonzero(node == parent)
                children = points[edges[parent] : edges[parent + 1]]
                codes[here, level] = nearest(vectors[here], children)[0]
            node = edges[node] + codes[:, level]
        return codes

    def decode(self, codes: NDArray[np.int32]) -> Vectors:
        """Returns the mean of the items below each path, float32 (N, D).

        A path that leaves the tree stands at the last node it meets.
        """
        check_fitted(self, "points")
        node, alive = np.zeros(len(codes), dtype=np.int64), np.ones(len(codes), dtype=bool)
        means = np.repeat(self.points[0].mean(0)[None], len(codes), axis=0)
        for points, edges, code in zip(self.points, self.edges, codes.T, strict=False):
            alive &= code < edges[node + 1] - edges[node]
            node = np.where(alive, edges[node] + code, 0)
            means[alive] = points[node[alive]]
        return means

    def arrays(self) -> dict[str, NDArray[Any]]:
        check_fitted(self, "points")
        levels = range(self.n_levels)
        points = {f"points{level}": self.points[level] for level in levels}
        return points | {f"edges{level}": self.edges[level] for level in levels}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        n_levels = len(arrays) // 2
        self.points = [arrays[f"points{level}"] for level in range(n_levels)]
        self.edges = [arrays[f"edges{level}"] for level in range(n_levels)]
        return self

    def _split(self, x: Vectors, n_children: int, level: int, number: int) -> NDArray[np.int64]:
        """Which child each item (n, D) goes to, int64 (n,)."""
        if n_children == len(x):
            return np.arange(len(x))
        rng = generator(self.seed, "balanced tree", level, number)
        learned = sample_of(x, n_children, self.seed)
        book = kmeans(learned, n_children, self.n_iterations, rng)
        for _ in range(N_SPLITS):
            split = balanced(x, book)
            counts = np.bincount(split, minlength=n_children)[:, None]
            book = (sums_of(x, split, n_children) / counts).astype(np.float32)
        return split


def balanced(x: Vectors, book: Vectors) -> NDArray[np.int64]:
    """Shares items (n, D) among points (k, D), n >= k, alike or one more: int64 (n,).

    The points that more items are nearest to get the one more. Up to EXACT items no other way is
    cheaper; beyond, pairs are taken in order of their distance.
    """
    counts = np.bincount(nearest(x, book)[0], minlength=len(book))
    room = np.full(len(book), len(x) // len(book))
    room[np.argsort(-counts, kind="stable")[: len(x) % len(book)]] += 1
    if len(x) <= EXACT:
        seats = np.repeat(np.arange(len(book)), room)  # (n,)
        return seats[linear_sum_assignment(_apart(x, book)[:, seats])[1]]
    return _greedy(x, book, room)


def _greedy(x: Vectors, book: Vectors, room: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs by increasing distance, each taken when its item is free and its point has room.

    That is the one stable matching, so it is found without sorting all n * k pairs: items ask their
    nearest point which would take them, a point keeps the nearest of those who asked.
    """
    seat = np.full(len(x), -1)
    paid = np.full(len(x), np.inf, dtype=np.float32)
    limit = np.full(len(book), np.inf, dtype=np.float32)  # beyond it a point takes no one
    while (free := np.flatnonzero(seat < 0)).size:
        for start in range(0, len(free), BLOCK):
            items = free[start : start + BLOCK]
            apart = _apart(x[items], book)
            apart[apart >= limit] = np.inf
            seat[items] = apart.argmin(1)
            paid[items] = apart[np.arange(len(items)), seat[items]]
        order = np.lexsort((paid, seat))
        firsts = np.searchsorted(seat[order], np.arange(len(book) + 1))
        place = np.arange(len(x)) - firsts[seat[order]]  # of an item among those of its point
        is_kept = place < room[seat[order]]
        last = order[is_kept & (place == room[seat[order]] - 1)]
        limit[seat[last]] = paid[last]
        seat[order[~is_kept]] = -1
    return seat


def _apart(x: Vectors, book: Vectors) -> Vectors:
    apart = (x * x).sum(1)[:, None] + (book * book).sum(1) - 2 * (x @ book.T)
    return np.maximum(apart, 0)


def _least_depth(n_items: int, n_codes: int) -> int:
    depth = 1
    while n_codes**depth < n_items:
        depth += 1
    return depth
