"""Where does the memory of a step come from? From the step before it, not from the system."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from etalage.layers.threads import c_function

TRIM, MMAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)."""
LARGEST = 32 << 20
"""Bytes of the largest block that glibc can keep; it comes to this by itself."""
PAGE = 2 << 20
"""Bytes of a large page."""


PROGRAMS = "300"
"""Programs for shapes of products in bfloat16 that are held at once; by itself, 1,024."""


def hold_few_programs() -> None:
    """Bounds what oneDNN holds, where nobody did and nothing was multiplied by it yet.

    It writes a program for each shape it meets, of a quarter of a megabyte where there are tiles
    for bfloat16, and those of a model that is done are never asked for again. Writing some of them
    again and again costs `etalage demo` 3 % of its time, holding all of them a tenth of its memory.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PROGRAMS)


@contextmanager
def kept() -> Iterator[None]:
    """Keeps freed memory with the process until the end: steps take and free the same blocks.

    It is one setting of the process: of two that train in threads, the first to end gives back the
    memory of both. Blocks of up to `LARGEST` come from what was kept afterwards, too.

    Given back and taken again, each page of 4 kB is a fault and is zeroed, a tenth of a step of
    QNN-alpha. Does nothing where the allocator is not that of glibc.
    """
    mallopt = c_function("mallopt")
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


def on_large_pages(tensor: Tensor) -> Tensor:
    """Asks for pages of 2 MB for a large tensor that nothing was written to yet, and returns it.

    Rows that are read here and there in it each lie on another page of 4 kB, and finding the page
    costs as much as reading the row. Does nothing where the system is not Linux.
    """
    advise, size = c_function("madvise"), tensor.nbytes
    if advise is not None and hasattr(mmap, "MADV_HUGEPAGE") and size >= LARGEST and tensor.is_cpu:
        first = -(-tensor.data_ptr() // PAGE) * PAGE
        advise(ctypes.c_void_p(first), ctypes.c_size_t(size - PAGE), mmap.MADV_HUGEPAGE)
    return tensor
