"""What is on sale, and who has been here? Items and visitors of a bundle, by external id."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from etalage.ids import Vocabulary
from etalage.serve.runtime.creatives import Creatives

MOST_WORDS = 10
"""Words of a search that are looked for: each is a pass over titles, and others wait meanwhile."""


@dataclass(frozen=True)
class Catalogue:
    """Items in index order."""

    ids: Vocabulary
    titles: list[str]
    categories: list[str]
    codes: NDArray[np.int32] | None  # (N, levels)
    creatives: Creatives = field(default_factory=Creatives)

    @classmethod
    def load(cls, folder: Path) -> Catalogue:
        facts = orjson.loads((folder / "items.json").read_bytes())
        path = folder / "codes.npy"
        codes = np.load(path, allow_pickle=False) if path.exists() else None
        ids = Vocabulary(facts["ids"])
        creatives = Creatives.load(folder, ids)
        return cls(ids, facts["titles"], facts["categories"], codes, creatives)

    def check(self) -> None:
        """Raises ValueError where columns are not of one length."""
        codes = self.titles if self.codes is None else self.codes
        if not len(self.ids) == len(self.titles) == len(self.categories) == len(codes):
            raise ValueError("ids, titles, categories and codes are of different catalogues")
        if self.codes is not None and self.codes.ndim != 2:
            raise ValueError(f"codes.npy is {self.codes.shape}, not of items and levels")
        _ = self.names, self.facts  # made now, or a first request would wait for them

    @cached_property
    def names(self) -> list[bytes]:
        """Id and title of each item, as members of a JSON object."""
        return [
            _members({"id": external, "title": title or str(external)})
            for external, title in zip(self.ids.ids, self.titles, strict=True)
        ]

    @cached_property
    def facts(self) -> list[bytes]:
        """What else a card tells of each item, likewise."""
        if self.codes is None:  # then items of a category share one text
            of = {name: _members({"category": name, "codes": None}) for name in {*self.categories}}
            found = [of[name] for name in self.categories]
        else:
            pairs = zip(self.categories, self.codes.tolist(), strict=True)
            found = [_members({"category": name, "codes": codes}) for name, codes in pairs]
        for item, creative in self.creatives.of.items():
            found[item] = b"%b,%b" % (found[item], _members({"creative": creative}))
        return found

    @cached_property
    def _lowered(self) -> list[str]:
        return [title.lower() for title in self.titles]

    @cached_property
    def _shortest_first(self) -> list[int]:
        return sorted(range(len(self.titles)), key=lambda i: len(self.titles[i]))

    def card(self, item: int) -> dict[str, Any]:
        """What a visitor sees of an item."""
        card: dict[str, Any] = orjson.loads(b"{%b,%b}" % (self.names[item], self.facts[item]))
        return card

    def spelled(self, prefix: list[int]) -> NDArray[np.bool_]:
        """Which items have codes that begin so, bool (N,); none in a catalogue without codes."""
        if self.codes is None:
            return np.zeros(len(self.ids), dtype=bool)
        begins: NDArray[np.bool_] = (self.codes[:, : len(prefix)] == prefix).all(1)
        return begins

    def search(self, words: str, most: int = 1) -> list[int]:
        """Items by id, else those whose title has all the words; the shortest titles first.

        Of the words, the first `MOST_WORDS` count.
        """
        item = self.ids.index(words)
        if item >= 0:
            return [item]
        wanted = list(dict.fromkeys(words.lower().split()))[:MOST_WORDS]
        if not wanted:
            return []
        found, titles = self._shortest_first, self._lowered
        for word in wanted:
            found = [i for i in found if word in titles[i]]
        return found[:most]


def _members(fields: dict[str, object]) -> bytes:
    return orjson.dumps(fields)[1:-1]


@dataclass(frozen=True)
class Visitors:
    """Stored histories, oldest first."""

    ids: Vocabulary
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]

    @classmethod
    def load(cls, folder: Path) -> Visitors:
        path = folder / "visitors.json"
        if not path.exists():
            return cls(Vocabulary([]), np.zeros(1, np.int64), np.zeros(0, np.int32))
        facts = orjson.loads(path.read_bytes())
        return cls(
            Vocabulary(facts["ids"]),
            np.array(facts["offsets"], dtype=np.int64),
            np.array(facts["items"], dtype=np.int32),
        )

    def check(self, n_items: int) -> None:
        """Raises ValueError where histories do not fit their visitors, or a catalogue."""
        steps = np.diff(self.offsets, prepend=0, append=len(self.items))
        if len(self.offsets) != len(self.ids) + 1 or steps[0] or (steps < 0).any() or steps[-1]:
            raise ValueError("the offsets of visitors.json do not part its items")
        if len(self.items) and not 0 <= self.items.min() <= self.items.max() < n_items:
            raise ValueError("visitors.json names items that are not in the catalogue")

    def history(self, external: object) -> NDArray[np.int32] | None:
        """What a visitor did, item indices; None for someone new."""
        row = self.ids.index(external)
        return None if row < 0 else self.items[self.offsets[row] : self.offsets[row + 1]]
