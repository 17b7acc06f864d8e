"""Which row is this id? The only place where external ids and indices meet.

Outside Etalage an item is what the shop calls it ("B00004TMFE", 1193); inside it is an int32
index, 0..N-1, and -1 means unknown or padding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError

UNKNOWN = -1
CANONICAL_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
"""Text that is the same again when it is read as a number and written: "17", not "017", "+17" or
" 17 ". Of 19 digits not all fit Int64."""

_is_integer = re.compile(CANONICAL_INTEGER).fullmatch


class Vocabulary:
    """An ordered set of external ids: `ids[index]` and back.

    Ids are all integers or all strings; a vocabulary of integers also understands their decimal
    form ("17", and no other way to write it), since JSON and URLs carry ids as text.

    >>> shop = Vocabulary(["mug", "pot", "tea"])
    >>> shop.indices(["tea", "hat"]).tolist()
    [2, -1]
    >>> shop.externals([2, -1])
    ['tea', None]
    """

    def __init__(self, ids: Iterable[str] | Iterable[int] | NDArray[Any]) -> None:
        values = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        is_integer = all(type(v) is int for v in values)
        if not is_integer and not all(type(v) is str for v in values):
            kinds = sorted({type(v).__name__ for v in values})
            raise DataError(f"ids must be all text or all integers; found {', '.join(kinds)}")
        self.ids: Sequence[str | int] = values
        self.is_integer = is_integer and bool(values)
        if len(set(values)) != len(values):
            raise DataError("ids in a vocabulary must be distinct; some are repeated")

    @cached_property
    def _index_of(self) -> dict[str | int, int]:
        return {value: index for index, value in enumerate(self.ids)}

    def index(self, external: Any) -> int:
        """Returns the index of one external id, or -1."""
        if self.is_integer and isinstance(external, str):
            if _is_integer(external) is None:
                return UNKNOWN
            external = int(external)
        elif not self.is_integer and isinstance(external, int):
            external = str(external)
        return self._index_of.get(external, UNKNOWN)

    def indices(self, externals: Iterable[Any]) -> NDArray[np.int32]:
        """Returns int32 indices of external ids; -1 where unknown."""
        kind, get = int if self.is_integer else str, self._index_of.get
        rows = [get(e, UNKNOWN) if type(e) is kind else self.index(e) for e in externals]
        return np.array(rows, dtype=np.int32)

    def externals(self, indices: Iterable[int] | NDArray[Any]) -> list[Any]:
        """Returns the external ids of indices; None for -1."""
        rows = indices.tolist() if isinstance(indices, np.ndarray) else indices
        return [self.ids[i] if i >= 0 else None for i in rows]

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, external: object) -> bool:
        return self.index(external) != UNKNOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.ids == other.ids

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        few = ", ".join(repr(v) for v in self.ids[:3])
        return f"Vocabulary({few}{', ...' if len(self) > 3 else ''}; {len(self):,} ids)"
