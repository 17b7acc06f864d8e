"""Which threads do our own loops run in? Those that torch computes with.

They wait for the next product without sleeping: threads besides them would get no processor.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import torch

Part = tuple[int, int]


def parts_of(n_rows: int, size: int = 1) -> list[Part]:
    """Stretches of rows, one a thread, that start at a whole number of chunks of a size."""
    n_chunks = -(-n_rows // size)
    n_threads = min(torch.get_num_threads(), n_chunks)
    starts = [size * (n_chunks * t // n_threads) for t in range(n_threads)]
    return [*pairwise([*starts, n_rows])]


def in_team(work: Callable[[Part], None], parts: list[Part]) -> None:
    """Works on parts in the threads of torch, or in this one where it has no OpenMP.

    Each thread takes the next part that is left; what it computes by torch is computed by it alone.
    """
    left = iter(parts)
    errors: list[BaseException] = []
    began = set()

    def take(_: Any) -> None:
        try:
            began.add(threading.get_ident())
            for part in left:
                if errors:
                    return
                work(part)
        except BaseException as error:  # it would end in the library that called
            errors.append(error)

    start, n_threads = _parallel(), min(torch.get_num_threads(), len(parts))
    if start is None or n_threads == 1:
        take(None)
    else:
        start(_TASK(take), None, n_threads, 0)
        if threading.get_ident() not in began and not errors:
            raise KeyboardInterrupt  # it came as this thread began, and nobody was told
    if errors:
        raise errors[0]


_TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def c_function(name: str) -> Callable[..., int] | None:
    """A function of the libraries that are loaded, if there is one of this name."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None


@cache
def _parallel() -> Callable[..., None] | None:
    """`GOMP_parallel(task, data, n_threads, flags)` of the OpenMP that torch has loaded."""
    start: Any = c_function("GOMP_parallel")
    if start is not None:
        start.argtypes = (_TASK, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        start.restype = None
    return start
