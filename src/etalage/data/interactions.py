"""Who did what, when? An immutable log, sorted by person and time.

Letters: U users, N items, M interactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COLUMNS = {"user": pl.Int32, "item": pl.Int32, "time": pl.Int64, "value": pl.Float32}


class Interactions:
    """A log of user int32[M], item int32[M], time int64[M] (milliseconds UTC), value float32[M].

    `value` (a rating, a count, seconds watched) may be absent; further columns are context
    (device, hour, position). Rows are sorted by user, then time; ties keep the order they were
    given in, which is the protocol of published splits.
    """

    def __init__(self, frame: pl.DataFrame, *, n_users: int, n_items: int) -> None:
        for name in ("user", "item", "time"):
            if name not in frame.columns:
                raise DataError(f"interactions need a column {name!r}; found {frame.columns}")
        wanted = {name: kind for name, kind in COLUMNS.items() if name in frame.columns}
        frame = frame.cast(wanted)  # type: ignore[arg-type]
        if not frame["user"].is_sorted():
            raise DataError("interactions must be sorted by user and time; use from_arrays")
        self.frame = frame
        self.n_users = n_users
        self.n_items = n_items
        if len(frame) and (
            frame["user"].min() < 0  # type: ignore[operator]
            or frame["user"].max() >= n_users  # type: ignore[operator]
            or frame["item"].min() < 0  # type: ignore[operator]
            or frame["item"].max() >= n_items  # type: ignore[operator]
        ):
            raise DataError(f"an index lies outside 0..{n_users - 1} users, 0..{n_items - 1} items")

    @classmethod
    def from_arrays(
        cls,
        users: Any,
        items: Any,
        times: Any | None = None,
        values: Any | None = None,
        *,
        n_users: int | None = None,
        n_items: int | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Interactions:
        """Sorts columns of equal length into a log; without times the given order is kept."""
        columns: dict[str, Any] = {"user": users, "item": items}
        columns["time"] = np.arange(len(users)) if times is None else times
        if values is not None:
            columns["value"] = values
        columns.update(context or {})
        frame = pl.DataFrame(columns).cast({"user": pl.Int32, "item": pl.Int32, "time": pl.Int64})
        frame = frame.sort("user", "time", maintain_order=True)
        most_user = frame["user"].max()
        most_item = frame["item"].max()
        return cls(
            frame,
            n_users=int(most_user) + 1 if n_users is None and len(frame) else n_users or 0,  # type: ignore[arg-type]
            n_items=int(most_item) + 1 if n_items is None and len(frame) else n_items or 0,  # type: ignore[arg-type]
        )

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<Interactions {len(self):,} by {self.n_users:,} users on {self.n_items:,} items>"

    @cached_property
    def users(self) -> NDArray[np.int32]:
        return self.frame["user"].to_numpy()

    @cached_property
    def items(self) -> NDArray[np.int32]:
        return self.frame["item"].to_numpy()

    @cached_property
    def times(self) -> NDArray[np.int64]:
        return self.frame["time"].to_numpy()

    @property
    def values(self) -> NDArray[np.float32] | None:
        return self.frame["value"].to_numpy() if "value" in self.frame.columns else None

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """User u owns rows offsets[u] to offsets[u + 1], int64 (U + 1,)."""
        return np.searchsorted(self.users, np.arange(self.n_users + 1)).astype(np.int64)

    @cached_property
    def hash(self) -> str:
        """16 hex digits: the same log, the same hash, wherever it came from."""
        digest = sha256()
        for column in (self.users, self.items, self.times):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()[:16]

    def rows(self, mask: NDArray[np.bool_]) -> Interactions:
        """Returns the rows where `mask` is true, with the same vocabularies."""
        return Interactions(
            self.frame.filter(pl.Series(mask)), n_users=self.n_users, n_items=self.n_items
        )

    def before(self, cut_ms: int) -> Interactions:
        """Returns what happened strictly before a moment."""
        return self.rows(self.times < cut_ms)

    def popularity(self) -> NDArray[np.int64]:
        """Interactions of each item, int64 (N,)."""
        return np.bincount(self.items, minlength=self.n_items)

    def matrix(self) -> csr_array:
        """Binary users x items matrix, float32 CSR (U, N); repeats count once."""
        from scipy.sparse import csr_array

        matrix = csr_array(
            (np.ones(len(self), np.float32), self.items, self.offsets),
            shape=(self.n_users, self.n_items),
            copy=True,  # what is summed is summed in place, and the log keeps its repeats
        )
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return matrix
