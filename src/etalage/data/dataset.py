"""What do we know? A log, its vocabularies and its tables, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import polars as pl
import polars.selectors as cs

from etalage.data.interactions import Interactions
from etalage.ids import Vocabulary


@dataclass(frozen=True)
class Dataset:
    """Interactions with the meaning of their indices.

    `item_table` and `user_table`, where present, have one row an index, in index order.
    `impressions` is a click log: user, item, time, clicked (0/1) and context columns.
    `manifest` holds counts, sha256, source and terms.
    """

    name: str
    interactions: Interactions
    users: Vocabulary
    items: Vocabulary
    item_table: pl.DataFrame | None = None
    user_table: pl.DataFrame | None = None
    impressions: pl.DataFrame | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @cached_property
    def hash(self) -> str:
        """16 hex digits over the log, its impressions and what is known of items and people.

        Over values, not over how they lie in memory: a stored copy has the same hash. Decimals of
        impressions are left out; their last digits follow from the machine.
        """
        digest = sha256(self.interactions.hash.encode())
        if self.impressions is not None:
            for column in self.impressions.select(~cs.float()).get_columns():
                digest.update(column.name.encode())
                digest.update(_values(column))
        for table in (self.item_table, self.user_table):
            digest.update(b"" if table is None else table.write_ndjson().encode())
        return digest.hexdigest()[:16]

    def with_interactions(self, interactions: Interactions) -> Dataset:
        """Returns the same shop with another log (for example, the training part of a split)."""
        return replace(self, interactions=interactions)

    def __repr__(self) -> str:
        return (
            f"<Dataset {self.name}: {self.n_users:,} users, {self.n_items:,} items, "
            f"{len(self.interactions):,} interactions>"
        )


def _values(column: pl.Series) -> bytes:
    """The values of a column of whole numbers or text, in whatever chunks they lie."""
    if column.dtype == pl.String:
        text: str = column.fill_null("\0").str.join("\x1f").item()
        return text.encode()
    return column.cast(pl.Int64).fill_null(-1).to_numpy().tobytes()
