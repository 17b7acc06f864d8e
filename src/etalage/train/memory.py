"""Where does the memory of a step come from? From the step before it, not from the system."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

TRIM, MMAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)."""
LARGEST = 32 << 20
"""Bytes of the largest block that glibc can keep; it comes to this by itself."""


@contextmanager
def kept() -> Iterator[None]:
    """Keeps freed memory with the process until the end: steps take and free the same blocks.

    Given back and taken again, each page of 4 kB is a fault and is zeroed, a tenth of a step of
    QNN-alpha. Does nothing where the allocator is not that of glibc.
    """
    mallopt = _mallopt()
    if mallopt is None:
        yield
        return
    mallopt(MMAP, LARGEST)
    mallopt(TRIM, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(TRIM, 2 * LARGEST)
        ctypes.CDLL(None).malloc_trim(0)


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    return getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
