"""Which codes may follow? Every id of the catalogue as a tree, in flat arrays (no torch here).

A tree in compressed rows, as STATIC (2026, arXiv 2602.22647) lays it out for accelerators: the
children of a node stand side by side, in order of their codes. Letters: N items, L levels, B nodes
or prefixes, W most children of a node asked about. Level l leads from depth l to depth l + 1; the
root is node 0 of depth 0, and nodes of a depth are numbered in the order of their codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError


class Trie:
    """The prefixes of some ids.

    >>> trie = Trie(np.array([[0, 2], [1, 0], [1, 1]]))
    >>> trie.allowed(np.array([[0], [1]])).astype(int).tolist()
    [[0, 0, 1], [1, 1, 0]]
    """

    def __init__(self, codes: NDArray[np.integer]) -> None:
        """Builds the tree of codes (N, L), integers from 0; no two rows may be equal."""
        if codes.ndim != 2 or 0 in codes.shape or not np.issubdtype(codes.dtype, np.integer):
            raise DataError(
                f"codes must be integers of shape (N, L), not empty; got {codes.dtype} "
                f"{codes.shape}"
            )
        if codes.min() < 0:
            raise DataError(f"codes must be at least 0; got {codes.min()}")
        self.n_items, self.n_levels = codes.shape
        self.sizes = tuple(int(size) + 1 for size in codes.max(0))
        node = np.zeros(self.n_items, dtype=np.int64)  # of each item, at the depth reached
        self.offsets: list[NDArray[np.int64]] = []  # a level: (nodes + 1,), where children start
        self.codes: list[NDArray[np.int32]] = []  # a level: (children,), the code that leads there
        self._keys: list[NDArray[np.int64]] = []  # a level: parent * size + code, increasing
        for size, code in zip(self.sizes, codes.T, strict=True):
            n_nodes = len(self.codes[-1]) if self.codes else 1
            keys, node = np.unique(node * size + code, return_inverse=True)
            self._keys.append(keys)
            self.codes.append((keys % size).astype(np.int32))
            self.offsets.append(np.searchsorted(keys // size, np.arange(n_nodes + 1)))
        if len(self.codes[-1]) < self.n_items:
            raise DataError(
                f"{self.n_items - len(self.codes[-1])} of {self.n_items} items have the codes of "
                f"another; make them distinct first (SemanticIds.distinct)"
            )
        self.leaves = node  # of each item
        self.items = np.empty(self.n_items, dtype=np.int32)  # the item of each leaf
        self.items[node] = np.arange(self.n_items)
        # the code of child -1 is -1
        self._codes = [np.append(codes, np.int32(-1)) for codes in self.codes]
        self.codes = [codes[:-1] for codes in self._codes]
        self._masks: list[NDArray[np.uint8] | None] = [None] * self.n_levels

    def children(
        self, level: int, nodes: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """What may follow nodes (B,) of depth `level`: children int64 and codes int32, (B, W).

        Both are -1 beyond the last child; a node of -1 has none. W is at least 1.
        """
        offsets, known = self.offsets[level], nodes >= 0
        starts = offsets[nodes]  # whatever it says of -1, that has no children
        counts = np.where(known, offsets[nodes + 1] - starts, 0)[:, None]
        steps = np.arange(counts.max(initial=1))  # (W,)
        children = starts[:, None] + steps
        np.copyto(children, -1, where=steps >= counts)
        return children, self._codes[level].take(children)

    def walk(self, prefixes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Nodes that prefixes (B, l) lead to, int64 (B,); -1 where no item begins so."""
        nodes = np.zeros(len(prefixes), dtype=np.int64)
        for size, keys, code in zip(self.sizes, self._keys, prefixes.T, strict=False):
            wanted = nodes * size + code
            places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            is_there = (nodes >= 0) & (code >= 0) & (code < size) & (keys[places] == wanted)
            nodes = np.where(is_there, places, -1)
        return nodes

    def allowed(self, prefixes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which codes may follow prefixes (B, l), l < L: bool (B, size of level l)."""
        level = prefixes.shape[1]
        if level >= self.n_levels:
            raise DataError(f"nothing follows {level} codes; ids have {self.n_levels} levels")
        masks = self._mask_of(level).take(self.walk(prefixes), axis=0)
        return np.unpackbits(masks, axis=1, count=self.sizes[level]).view(bool)

    def _mask_of(self, level: int) -> NDArray[np.uint8]:
        """Codes that follow each node, one bit each, uint8 (nodes + 1, bytes); the last has none.

        Made when first asked for: a bit a code and node is little, but a search needs none.
        """
        masks = self._masks[level]
        if masks is None:
            offsets, codes = self.offsets[level], self.codes[level]
            parents = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
            masks = np.zeros((len(offsets), -(-self.sizes[level] // 8)), dtype=np.uint8)
            np.bitwise_or.at(masks, (parents, codes // 8), (128 >> codes % 8).astype(np.uint8))
            self._masks[level] = masks
        return masks

    def alive(self, items: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
        """Which nodes lead to an item that is wanted, bool (B, N): bool (B, nodes) a level.

        Entry l is about depth l + 1, so that a search never walks where only unwanted items are.
        """
        if len(items) == 1:
            return self._alive_but(np.flatnonzero(~items[0]))
        reached = items[:, self.items]  # (B, leaves)
        levels = [reached]
        for offsets in self.offsets[:0:-1]:
            reached = np.logical_or.reduceat(reached, offsets[:-1], axis=1)
            levels.append(reached)
        return levels[::-1]

    def _alive_but(self, unwanted: NDArray[np.integer]) -> list[NDArray[np.bool_]]:
        """`alive` for one row, at the cost of the items that are not wanted, mostly few."""
        gone = self.leaves[unwanted]
        levels = []
        for codes, offsets in zip(self.codes[::-1], self.offsets[::-1], strict=True):
            reached = np.ones((1, len(codes)), dtype=bool)
            reached[0, gone] = False
            levels.append(reached)
            if len(gone):  # a node is gone with the last of its children
                parents = offsets.searchsorted(gone, side="right") - 1
                parents, n_gone = np.unique(parents, return_counts=True)
                gone = parents[n_gone == offsets[parents + 1] - offsets[parents]]
        return levels[::-1]
