"""What is an item called? A short word of codes, coarse to fine, and no two items share one.

Letters: N items, L levels.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from etalage import __version__
from etalage.artefact import whole_file
from etalage.errors import BundleError, DataError

UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, DataError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What reading an npz that is not there, broken or another's may raise."""


@dataclass(frozen=True)
class SemanticIds:
    """The code of each item at each level; every row is distinct.

    ```
    item 0   12  4 51 0      12 is a family, 12-4 a smaller one
    item 1   12  4 51 1      same as item 0 up to the last level, which only tells them apart
    item 2   12 60  7 0
    ```
    """

    codes: NDArray[np.int32]  # (N, L)
    sizes: tuple[int, ...]  # (L,) codes that a level has; some may be unused

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.dtype != np.int32:
            raise DataError(
                f"codes must be an int32 array of shape (N, L); "
                f"got {self.codes.dtype} {self.codes.shape}"
            )
        if len(self.sizes) != self.n_levels:
            raise DataError(f"codes have {self.n_levels} levels, sizes {len(self.sizes)}")
        if ((self.codes < 0) | (self.codes >= np.array(self.sizes))).any():
            raise DataError(f"a code lies outside 0..size-1 of its level; sizes are {self.sizes}")
        n_shared = len(self) - len(np.unique(self.codes, axis=0))
        if n_shared:
            raise DataError(
                f"{n_shared} items have the codes of another; "
                f"use SemanticIds.distinct, which adds a level that tells them apart"
            )

    @classmethod
    def distinct(cls, codes: NDArray[np.int32], sizes: tuple[int, ...]) -> Self:
        """Makes codes distinct as TIGER does: one more level, a running number within equals.

        Without equals there is no such level. Numbers follow the order of the items.
        """
        _, group = np.unique(codes, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        ranked = group[order]
        number = np.empty(len(codes), dtype=np.int32)
        number[order] = np.arange(len(codes)) - np.searchsorted(ranked, ranked)
        largest = int(number.max(initial=0)) + 1
        if largest == 1:
            return cls(codes, sizes)
        return cls(np.column_stack([codes, number]), (*sizes, largest))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_levels(self) -> int:
        """L."""
        return self.codes.shape[1]

    def save(self, path: Path) -> None:
        """Writes one npz, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as draft, draft.open("wb") as file:
            np.savez_compressed(
                file,
                codes=self.codes,
                sizes=np.array(self.sizes, np.int32),
                library_version=np.array(__version__),
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote; BundleError when it is not there or broken."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(file["codes"], tuple(file["sizes"].tolist()))
        except UNREADABLE as error:
            raise BundleError(
                f"no semantic ids can be read from {path} ({error}); write them again with save"
            ) from error
