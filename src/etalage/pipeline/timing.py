"""What does an answer cost where it is served? A bundle timed in a process of its own.

The process holds what answers, and nothing of the training, on one core. A server holds its HTTP
besides, some 30 MB.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etalage.errors import BundleError
from etalage.evaluate.latency import latency_ms
from etalage.serve.runtime.engine import Engine

PLACES = 10


def time_bundle(folder: Path, histories: list[NDArray[np.int32]]) -> dict[str, float]:
    """Times a bundle on histories (item indices, oldest first).

    Returns:
        What `latency_ms` gives, and 'peak_mb', the most memory that the process held.

    Raises:
        BundleError: when the process fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "etalage.pipeline.timing", str(folder)],
        input=json.dumps([history.tolist() for history in histories]),
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise BundleError(f"the bundle {folder} could not be timed: {done.stderr[-2000:]}")
    times: dict[str, float] = json.loads(done.stdout)
    return times


def main() -> None:
    """Reads histories as JSON from the input and writes the figures as JSON."""
    engine = Engine(Path(sys.argv[1]))
    histories = [np.array(row, dtype=np.int32) for row in json.load(sys.stdin)]
    times = latency_ms(lambda history: engine.recommend(history, PLACES), histories)
    sys.stdout.write(json.dumps(times | {"peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Most memory that this program held; what its parent held at the fork does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
