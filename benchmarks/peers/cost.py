"""What does a piece of work cost? For all peers, in whichever environment they live."""

import os
import time
from collections.abc import Callable


def cost(work: Callable[[], object], least: float) -> tuple[float, float]:
    """Wall and CPU seconds of one `work()`, those of loader processes included.

    It is repeated for `least` seconds.
    """
    n, began, cpu = 0, time.perf_counter(), sum(os.times()[:4])
    while time.perf_counter() - began < least:
        work()
        n += 1
    return (time.perf_counter() - began) / n, (sum(os.times()[:4]) - cpu) / n
