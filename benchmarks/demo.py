"""Claims about the demo: what `etalage demo` takes on the simulated shop, from start to report.

python benchmarks/demo.py
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claims import record


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "etalage", "demo", "--out", f"{place}/run"]
        cores = str(os.cpu_count())
        began = time.perf_counter()
        subprocess.run(command, check=True, env={"OMP_NUM_THREADS": cores} | os.environ)
        seconds = time.perf_counter() - began
        assert (Path(place) / "run" / "report.html").exists()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, memory = spent.ru_utime + spent.ru_stime, spent.ru_maxrss / 1024
    record("house", "wall time of etalage demo, idle cores", seconds, "s", "<=120",
           seeds=[0], seconds=seconds)  # fmt: skip
    record("house", "CPU time of etalage demo", cpu, "CPU-s", "<=240",
           seeds=[0], seconds=seconds)  # fmt: skip
    record("house", "peak memory of etalage demo", memory, "MB", "<=1500",
           seeds=[0], seconds=seconds)  # fmt: skip


if __name__ == "__main__":
    main()
