"""What is known about a candidate when it is ranked? The same numbers in training and in serving.

A person is known by their history alone, so someone who arrived a second ago is ranked like
anyone else. Code 0 of every field means unknown: a new item, a value never seen, no context.

Letters: V visits, R rows (candidates of visits), N items, L history length, F category fields,
M numbers, D width of a content vector.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.errors import BundleError

NOBODY = np.zeros(1, dtype=np.int64)
Rows = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]


@dataclass(frozen=True)
class RankingFeatures:
    """Turns (history, candidate, context) into the columns that a ranker reads."""

    popularity: NDArray[np.int64]
    """Training interactions of each item, (N,); an item with none is unknown to the ranker."""
    category_of: NDArray[np.int32]
    """Code of each item's category, (N,), 0 for none."""
    n_categories: int
    content: NDArray[np.float32] | None
    """Unit vector of each item's text, (N, D); None where items have no text."""
    contexts: Mapping[str, list[str]]
    """Context fields and their known values; value v has code index + 1."""
    defaults: Mapping[str, str]
    """What a context field is taken to be when a request does not say (else unknown)."""
    history_length: int

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Category fields and how many codes each has, unknown included, in column order."""
        categories = self.n_categories + 1
        sizes = {
            "item": len(self.popularity) + 1,
            "category": categories,
            "last_category": categories,
        }
        for name, values in self.contexts.items():
            sizes[f"context {name}" if name in sizes else name] = len(values) + 1
        return sizes

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Names of the numbers, in column order."""
        names = ("popularity", "history_length", "category_share")
        return names if self.content is None else (*names, "likeness", "likeness_to_last")

    @cached_property
    def fame(self) -> NDArray[np.float32]:
        """Popularity of each item on a scale from 0 to 1, log(1 + n) / log(1 + most), (N,)."""
        most = np.log1p(self.popularity.max(initial=1))
        return (np.log1p(self.popularity) / most).astype(np.float32)

    @cached_property
    def item_codes(self) -> NDArray[np.int64]:
        """Code of each item, its index + 1, or 0 where training never saw it, (N,)."""
        return np.where(self.popularity > 0, np.arange(1, len(self.popularity) + 1), 0)

    def codes(self, context: Mapping[str, Any]) -> NDArray[np.int32]:
        """Codes of one request's context, int32 (fields of context,)."""
        given = {**self.defaults, **{k: str(v) for k, v in context.items()}}
        codes = [
            values.index(given[name]) + 1 if given.get(name) in values else 0
            for name, values in self.contexts.items()
        ]
        return np.array(codes, dtype=np.int32)

    def rows(
        self,
        history: NDArray[np.int32],
        candidates: NDArray[np.int32],
        context: Mapping[str, Any],
    ) -> dict[str, NDArray[Any]]:
        """What `ranker.onnx` is fed for the candidates of one request: a `table` of one visit.

        It is written for one visit: a request would else pay for the axes of many.

        Args:
            history: item indices, oldest first, int32 (L,); may be empty.
            candidates: item indices, int32 (R,).
            context: values by name; what is not known is taken as unknown.
        """
        kept = history[-self.history_length :]
        own = self.category_of.take(candidates)  # (R,)
        of_history = self.category_of.take(kept)
        categories = np.empty((len(candidates), len(self.sizes)), dtype=np.int64)
        categories[:, 0] = self.item_codes.take(candidates)
        categories[:, 1] = own
        categories[:, 2] = of_history[-1] if len(kept) else 0
        categories[:, 3:] = self.codes(context)
        shares = np.bincount(of_history, minlength=self.n_categories + 1) / max(len(kept), 1)
        shares[0] = 0
        numbers = np.empty((len(candidates), len(self.numbers)), dtype=np.float32)
        numbers[:, 0] = self.fame.take(candidates)
        numbers[:, 1] = math.log1p(len(kept)) / math.log1p(self.history_length)
        numbers[:, 2] = shares.take(own)
        if self.content is not None and len(kept):
            vectors = self.content.take(kept, 0)  # (L, D)
            tastes = np.empty((2, vectors.shape[1]), dtype=np.float32)
            tastes[0], tastes[1] = vectors.sum(0) / np.float32(len(kept)), vectors[-1]
            numbers[:, 3:] = self.content.take(candidates, 0) @ tastes.T
        elif self.content is not None:
            numbers[:, 3:] = 0
        known = self.item_codes.take(kept)
        known = known[known > 0]
        return {
            "categories": categories,
            "numbers": numbers,
            "history": (known if len(known) else NOBODY)[None],
        }

    def table(
        self,
        histories: NDArray[np.int32],
        visits: NDArray[np.int64],
        candidates: NDArray[np.int32],
        codes: NDArray[np.int32],
    ) -> Rows:
        """Columns of many rows: categories (R, F), numbers (R, M), and histories (V, L).

        Args:
            histories: newest items of each visit, int32 (V, L), left-padded with -1.
            visits: visit of each row, int64 (R,).
            candidates: item of each row, int32 (R,).
            codes: codes of the context, int32 (R, fields of context), or one row for all.
        """
        known = histories >= 0  # (V, L)
        lengths = known.sum(1)
        last = histories[:, -1]
        own = self.category_of[candidates]  # (R,)
        fame = self.fame[candidates]
        categories = np.empty((len(candidates), len(self.sizes)), dtype=np.int32)
        categories[:, 0] = self.item_codes[candidates]
        categories[:, 1] = own
        categories[:, 2] = np.where(last >= 0, self.category_of[last], 0)[visits]
        categories[:, 3:] = codes
        n_codes = self.n_categories + 1
        cells = np.arange(len(histories))[:, None] * n_codes + self.category_of[histories]
        counts = np.bincount(cells[known], minlength=len(histories) * n_codes)
        shares = counts.reshape(-1, n_codes) / np.maximum(lengths, 1)[:, None]
        shares[:, 0] = 0  # that neither has a category makes them no more alike
        numbers = np.empty((len(candidates), len(self.numbers)), dtype=np.float32)
        numbers[:, 0] = fame
        numbers[:, 1] = (np.log1p(lengths) / np.log1p(self.history_length))[visits]
        numbers[:, 2] = shares[visits, own]
        if self.content is not None:
            vectors = self.content[histories] * known[..., None]  # (V, L, D)
            profile = vectors.sum(1) / np.maximum(lengths, 1)[:, None]  # (V, D)
            theirs = self.content[candidates]  # (R, D)
            tastes = np.stack([profile, vectors[:, -1]], axis=1)  # (V, 2, D)
            numbers[:, 3:] = np.einsum("rqd,rd->rq", tastes[visits], theirs)
        newest = np.where(known & (self.fame[histories] > 0), histories, -1)
        return categories, numbers, newest

    def save(self, folder: Path) -> None:
        """Writes `features.json` and npy files into a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "popularity.npy", self.popularity)
        np.save(folder / "category_of.npy", self.category_of)
        if self.content is not None:
            np.save(folder / "content.npy", self.content)
        facts = {
            "n_categories": self.n_categories,
            "contexts": dict(self.contexts),
            "defaults": dict(self.defaults),
            "history_length": self.history_length,
            "has_content": self.content is not None,
        }
        (folder / "features.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path) -> RankingFeatures:
        """Reads what `save` wrote; BundleError when it is not there or broken."""
        try:
            facts = json.loads((folder / "features.json").read_text())
            has_content = facts.pop("has_content")
            return cls(
                popularity=np.load(folder / "popularity.npy"),
                category_of=np.load(folder / "category_of.npy"),
                content=np.load(folder / "content.npy") if has_content else None,
                **facts,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"no ranking features can be read from {folder} ({error}); export again"
            ) from error
