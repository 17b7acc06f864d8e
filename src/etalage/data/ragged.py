"""What did each person see, and what comes back? The small array types that everything speaks.

Letters: B people or queries, L history length, k places in a list, N items, M entries in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def check_items(items: NDArray[np.integer], n_items: int, where: str) -> None:
    """Raises DataError for an index beyond the catalogue; -1 means unknown, and is none."""
    most = int(items.max(initial=-1))
    if most >= n_items:
        raise DataError(
            f"{where} has item {most:,}, but there are {n_items:,} items, 0 to {n_items - 1:,}; "
            "Vocabulary.indices turns ids into indices, and unknown ones into -1"
        )


@dataclass(frozen=True)
class ItemSets:
    """One list of items a row, stored end to end.

    ```
    row 0: 7 2        items    7 2 | | 5 1 9
    row 1:            offsets  0   2 2     5
    row 2: 5 1 9
    ```
    """

    offsets: NDArray[np.int64]  # (B + 1,)
    items: NDArray[np.int32]  # (M,)

    @classmethod
    def from_rows(cls, rows: Iterable[Iterable[int]]) -> ItemSets:
        """Builds the sets from one iterable of item indices a row."""
        lists = [list(row) for row in rows]
        offsets = np.zeros(len(lists) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in lists], out=offsets[1:])
        return cls(offsets, np.array([i for row in lists for i in row], dtype=np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield self.items[start:stop]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Entries in each row, int64 (B,)."""
        return np.diff(self.offsets)

    @property
    def row_of_entry(self) -> NDArray[np.int64]:
        """The row each entry belongs to, int64 (M,)."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def distinct(self) -> ItemSets:
        """Returns each row sorted, an item at most once."""
        rows = self.row_of_entry
        order = np.lexsort((self.items, rows))
        items, rows = self.items[order], rows[order]
        is_new = np.ones(len(items), dtype=bool)
        is_new[1:] = (items[1:] != items[:-1]) | (rows[1:] != rows[:-1])
        offsets = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows[is_new], minlength=len(self)), out=offsets[1:])
        return ItemSets(offsets, items[is_new])

    def known(self, n_items: int, where: str) -> ItemSets:
        """Returns the sets without unknown items (-1); DataError for one beyond the catalogue."""
        check_items(self.items, n_items, where)
        is_known = self.items >= 0
        if is_known.all():
            return self
        before = np.concatenate([[0], np.cumsum(is_known)])
        return ItemSets(before[self.offsets], self.items[is_known])

    def take(self, rows: NDArray[np.integer] | Sequence[int]) -> ItemSets:
        """Returns the sets of some rows, in the order asked."""
        wanted = np.asarray(rows, dtype=np.int64)
        return gather(self.items, self.offsets[wanted], self.offsets[wanted + 1])


def gather(
    flat: NDArray[np.int32], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> ItemSets:
    """Copies the slices `flat[starts[b]:stops[b]]` into one `ItemSets`, without a Python loop."""
    sizes = stops - starts
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)
    return ItemSets(offsets, flat[positions])


@dataclass(frozen=True)
class Histories:
    """What each person did, as a rectangle: int32 (B, L), left-padded with -1, newest last.

    ```
    -1 -1  4  7     did 4, then 7
     3  1  1  2     did 3, 1, 1 and 2 (and perhaps more before: only the newest L are kept)
    ```
    """

    items: NDArray[np.int32]  # (B, L)

    def __post_init__(self) -> None:
        if self.items.ndim != 2 or self.items.dtype != np.int32:
            raise DataError(
                f"histories must be an int32 array of shape (B, L); "
                f"got {self.items.dtype} {self.items.shape}"
            )

    @classmethod
    def from_rows(cls, rows: Iterable[Iterable[int]], length: int | None = None) -> Histories:
        """Builds histories from item indices, oldest first; unknown items (-1) are dropped."""
        lists = [[i for i in row if i >= 0] for row in rows]
        width = length if length is not None else max((len(r) for r in lists), default=0)
        items = np.full((len(lists), width), -1, dtype=np.int32)
        for b, row in enumerate(lists):
            newest = row[-width:] if width else []
            items[b, width - len(newest) :] = newest
        return cls(items)

    @classmethod
    def from_slices(
        cls,
        flat: NDArray[np.int32],
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        length: int,
    ) -> Histories:
        """Cuts the newest `length` entries of each slice `flat[starts[b]:stops[b]]`."""
        positions = stops[:, None] - length + np.arange(length)  # (B, L)
        known = positions >= starts[:, None]
        if not len(flat):
            return cls(np.full(positions.shape, -1, dtype=np.int32))
        items = np.where(known, flat[np.where(known, positions, 0)], -1)
        return cls(items.astype(np.int32, copy=False))

    def __len__(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Entries that are not padding, int64 (B,)."""
        return (self.items >= 0).sum(1)

    def newest(self, length: int) -> Histories:
        """Returns the same people with exactly `length` columns, cut or padded on the left."""
        have = self.items.shape[1]
        if have >= length:
            return Histories(np.ascontiguousarray(self.items[:, have - length :]))
        pad = np.full((len(self), length - have), -1, dtype=np.int32)
        return Histories(np.concatenate([pad, self.items], axis=1))

    def take(self, rows: NDArray[np.integer] | slice) -> Histories:
        """Returns the histories of some rows."""
        return Histories(self.items[rows])

    def recency_weights(self, power: float) -> NDArray[np.float32]:
        """Weight r ** -power of the r-th newest entry, float32 (B, L); 0 on padding."""
        length = self.items.shape[1]
        weights = np.arange(length, 0, -1, dtype=np.float32) ** np.float32(-power)  # (L,)
        return np.where(self.items >= 0, weights, np.float32(0))

    def to_matrix(self, weights: NDArray[np.float32], n_items: int) -> csr_array:
        """Sparse (B, N) matrix of the weights; an item that appears twice adds up."""
        from scipy.sparse import csr_array

        check_items(self.items, n_items, "a history")  # scipy would read beyond its memory
        kept = self.items >= 0
        offsets = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(kept.sum(1), out=offsets[1:])
        matrix = csr_array((weights[kept], self.items[kept], offsets), shape=(len(self), n_items))
        matrix.sum_duplicates()
        return matrix


@dataclass(frozen=True)
class TopK:
    """Answers: items int32 (B, k), best first, -1 where there is none; scores float32 (B, k)."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def empty(cls, n_people: int, k: int) -> TopK:
        """Answers that hold nothing yet."""
        return cls(
            np.full((n_people, k), -1, dtype=np.int32),
            np.full((n_people, k), -np.inf, dtype=np.float32),
        )

    def __len__(self) -> int:
        return len(self.items)
