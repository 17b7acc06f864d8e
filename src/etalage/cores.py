"""On how many cores may this process compute?"""

from __future__ import annotations

import os


def n_cores() -> int:
    """What OMP_NUM_THREADS says, or else the cores that the system lets this process run on.

    A list is that of nested teams, and its first number counts; what is no number is passed over.
    """
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if said.isdigit() and int(said):
        return int(said)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
