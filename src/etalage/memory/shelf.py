"""What was searched last? Indices of users that were asked for, under a limit of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from etalage.memory.index import Index
from etalage.memory.rows import Rows


class Shelf:
    """Indices by user, the one used longest ago taken off first."""

    def __init__(self, new: Callable[[], Index], most_bytes: int) -> None:
        self._new, self._most = new, most_bytes
        self._indices: OrderedDict[int, tuple[Index, int]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._indices)

    @contextmanager
    def index(self, rows: Rows) -> Iterator[Index]:
        """What is searched of a user, as of the view of the rows, for as long as it is lent.

        After writing, what is new is added; after forgetting, all is read again. A view that is
        older than what is kept reads for itself alone.
        """
        person = rows.person
        with self._lock:
            kept, n_bytes = self._indices.pop(person.no, (None, 0))
            self._held -= n_bytes
        index = self._new() if kept is None or kept.version > person.version else kept
        with index.lock:
            if index.version < max(person.rewritten, 1):
                index.clear()
            if index.version < person.version:
                index.append(rows.indexed(index.last), rows.facts(index.last))
                index.version, index.last = person.version, person.last
            self._put_back(person.no, index)
            yield index  # locked: a newer view would add what this one does not have

    def _put_back(self, no: int, index: Index) -> None:
        with self._lock:
            n_bytes = index.n_bytes
            replaced = self._indices.pop(no, (index, 0))
            self._indices[no] = index, n_bytes
            self._held += n_bytes - replaced[1]
            while self._held > self._most and len(self._indices) > 1:
                self._held -= self._indices.popitem(last=False)[1][1]

    def drop(self, no: int) -> None:
        """Takes a user's off."""
        with self._lock:
            self._held -= self._indices.pop(no, (None, 0))[1]

    def drop_all(self) -> None:
        """Takes all off."""
        with self._lock:
            self._indices.clear()
            self._held = 0
