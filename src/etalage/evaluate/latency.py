"""How long does one answer take? Single requests, as a server would meet them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from etalage.errors import DataError

WARM_UP = 10


def latency_ms(
    answer: Callable[[Any], Any], requests: list[Any], *, max_seconds: float = 10.0
) -> dict[str, float]:
    """Times `answer(request)` for one request after the other.

    Returns:
        'p50', 'p90', 'p99' of the wall clock in milliseconds; 'cpu', the mean CPU time of a request
        in milliseconds over all threads of the process; and 'per_second', requests answered one
        after the other. Wall times on a busy machine say little; CPU time says more. Requests are
        taken in the order given.

    Raises:
        DataError: where there is no request.
    """
    if not requests:
        raise DataError("there are no requests to time; expected at least one")
    for request in requests[:WARM_UP]:
        answer(request)
    walls = []
    was_enabled = gc.isenabled()
    gc.disable()  # a collection would land on whichever request it met
    try:
        cpu_before, began = time.process_time(), time.perf_counter()
        for request in requests:
            started = time.perf_counter()
            answer(request)
            walls.append(1000 * (time.perf_counter() - started))
            if time.perf_counter() - began > max_seconds:
                break
        cpu = 1000 * (time.process_time() - cpu_before) / len(walls)
    finally:
        if was_enabled:
            gc.enable()
    p50, p90, p99 = np.percentile(walls, [50, 90, 99]).tolist()
    per_second = 1000 * len(walls) / sum(walls)
    return {"p50": p50, "p90": p90, "p99": p99, "cpu": cpu, "per_second": per_second}
