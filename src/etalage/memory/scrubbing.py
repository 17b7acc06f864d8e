"""Why is deleting not enough? Copies that SQLite leaves between what is in use on a page.

`secure_delete` overwrites a row where it lies. But where a page is split, rows move to another page
and their bytes stay behind, in the gap between the pointers of a page and its rows, until other
rows fill it. So whenever the log is written back, the gaps of all pages in it are filled with zeros
here (SQLite's file format, sections 1.6 and 4.1: https://sqlite.org/fileformat2.html).
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

HEAD, FRAME = 32, 24
"""Bytes before the first frame of a log, and before the page in each."""
INNER = (0x02, 0x05)
KINDS = (*INNER, 0x0A, 0x0D)
"""First byte of a page of a tree; of those with children, then of those without."""


def logged_pages(log: Path, page_size: int) -> set[int]:
    """Returns the numbers of the pages of which a log has or had a copy."""
    if not log.exists():
        return set()
    pages = set()
    with log.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for start in range(HEAD, size - FRAME + 1, FRAME + page_size):
            pages.add(int.from_bytes(os.pread(file.fileno(), 4, start), "big"))
    return pages - {0}


def gap(page: bytes, is_first: bool) -> tuple[int, int]:
    """Returns where the unused bytes of a page of a tree begin and end; nothing of other pages."""
    start = 100 if is_first else 0
    if page[start] not in KINDS:
        return 0, 0
    n_cells, content = struct.unpack_from(">HH", page, start + 3)
    low = start + (12 if page[start] in INNER else 8) + 2 * n_cells
    return (low, content or 65536) if low < (content or 65536) <= len(page) else (0, 0)


class PageFile:
    """The file itself, beside SQLite.

    A process that closes any handle of a file loses all its locks on it (POSIX), those of SQLite
    among them; so one handle a file is shared, and closed when nobody of the process uses the file.
    """

    _open: dict[tuple[int, int], tuple[int, int]] = {}  # noqa: RUF012 — one of all, on purpose
    _lock = threading.Lock()

    def __init__(self, path: Path) -> None:
        found = path.stat()
        self._key = found.st_dev, found.st_ino
        with self._lock:
            handle, n_users = self._open.get(self._key, (-1, 0))
            if not n_users:
                handle = os.open(path, os.O_RDWR)
            self._open[self._key] = handle, n_users + 1
        self._handle, self._is_closed = handle, False

    def close(self) -> None:
        """To be called when all connections of its user are closed; twice is as once."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            handle, n_users = self._open.pop(self._key)
            if n_users > 1:
                self._open[self._key] = handle, n_users - 1
            else:
                os.close(handle)

    def clear_gaps(self, pages: set[int] | None, page_size: int) -> None:
        """Fills the unused bytes of pages with zeros, of all where None is given; nobody may write
        to the file meanwhile."""
        if pages is None:
            pages = set(range(1, os.fstat(self._handle).st_size // page_size + 1))
        for number in sorted(pages):
            start = (number - 1) * page_size
            page = os.pread(self._handle, page_size, start)
            if len(page) < page_size:
                continue  # the file has become shorter since
            low, high = gap(page, number == 1)
            if page.count(0, low, high) < high - low:
                os.pwrite(self._handle, bytes(high - low), start + low)
        os.fdatasync(self._handle)
