"""Claims about reading logs: ten million interactions import and split in time and memory.

The log is synthetic CSV with popular and rare items, written first by a process of its own, so that
neither its making nor its memory counts. It is removed afterwards.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from claims import record

ROWS = 10_000_000

MAKE = """
import sys
import numpy as np
import polars as pl
n = int(sys.argv[2])
rng = np.random.default_rng(1)
pl.DataFrame({
    "user_id": rng.integers(1, 400_000, n),
    "item_id": ((100_000 ** rng.random(n)).astype(np.int64) + 7) % 100_000,
    "timestamp": 1_500_000_000 + rng.integers(0, 100_000_000, n),
}).select(
    pl.format("u{}", "user_id").alias("user_id"), "item_id", "timestamp"
).write_csv(sys.argv[1])
"""
READ = """
import hashlib, json, resource, sys, time
from etalage.data.ingest import open_dataset
from etalage.data.split import global_time
from etalage.data.store import save
before = time.process_time()
data = open_dataset(sys.argv[1])
save(data, sys.argv[2])
split = global_time(data.interactions)
assert len(split.train) and len(split.valid) and len(split.test)
seconds = time.process_time() - before
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows": len(data.interactions), "seconds": seconds, "peak_mb": peak,
                  "sha256": data.manifest["source_sha256"]}))
"""

with tempfile.TemporaryDirectory() as folder:
    log, stored = Path(folder, "log.csv"), Path(folder, "stored")
    subprocess.run([sys.executable, "-c", MAKE, log, str(ROWS)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", READ, log, stored], check=True, stdout=subprocess.PIPE, text=True
    )
got = json.loads(done.stdout)
assert got["rows"] == ROWS
what = "of importing, storing and splitting 10 million interactions from CSV"
facts = {"seeds": [1], "data_hash": got["sha256"][:16], "seconds": got["seconds"]}
record("house", f"CPU time {what}", got["seconds"], "CPU-s", "<=60", **facts)
record("house", f"peak memory {what}", got["peak_mb"], "MB", "<=2000", **facts)
