"""Claims about building feature tables: a log of Criteo's size is coded in time and memory.

The log is synthetic Parquet with the columns of Criteo: a label, 13 whole numbers and 26 texts of
910,784 values drawn by Zipf's law, written first by a process of its own, so that neither its
making nor its memory counts. It and the table are removed afterwards. `ROWS` in the environment
makes a smaller log, whose figures are printed and not recorded.
"""

import json
import os
import subprocess
import sys
import tempfile

from claims import record

FULL = 45_000_000
ROWS = int(os.environ.get("ROWS", FULL))

MAKE = """
import sys
import numpy as np
import polars as pl
folder, n, part = sys.argv[1], int(sys.argv[2]), 1_000_000
sizes = [1460, 583, 220_000, 120_000, 305, 24, 12_517, 633, 3, 45_000, 5683, 180_000, 3194, 27,
         11_000, 142_000, 10, 4565, 2075, 4, 130_000, 18, 15, 20_000, 86, 11_582]
assert sum(sizes) == 910_784
texts = [
    (pl.Series(np.arange(size, dtype=np.uint64)) * 2_654_435_761 % 2**32).map_elements(
        lambda v: f"{v:08x}", return_dtype=pl.String)
    for size in sizes
]
rng = np.random.default_rng(1)
for start in range(0, n, part):
    rows = min(part, n - start)
    columns = {"label": (rng.random(rows) < 0.256).astype(np.int8)}
    for k in range(13):
        counts = np.floor(rng.lognormal(1.5, 2, rows)).astype(np.int32)
        columns[f"I{k + 1}"] = pl.Series(counts).set(pl.Series(rng.random(rows) < 0.1), None)
    for k, values in enumerate(texts):
        # ranks of a Zipf law with exponent 1.05, by the inverse of its continuous distribution
        u = rng.random(rows)
        ranks = (1 + u * (len(values) ** -0.05 - 1)) ** -20
        columns[f"C{k + 1}"] = values.gather(ranks.astype(np.int64).clip(1, len(values)) - 1)
    path = f"{folder}/raw-{start // part:03}.parquet"
    pl.DataFrame(columns).write_parquet(path, compression="lz4")
"""
BUILD = """
import json, resource, sys, time
from pathlib import Path
from etalage.data.fields import Category, Log2
from etalage.data.formats.clicks import read_click_parts
from etalage.data.vocabulary import ClickVocabulary
raw, folder = sys.argv[1], Path(sys.argv[2])
fields = {f"I{n}": Log2() for n in range(1, 14)} | {f"C{n}": Category() for n in range(1, 27)}
began, used = time.perf_counter(), time.process_time()
vocabulary = ClickVocabulary.learn(read_click_parts(raw, progress=True), fields)
vocabulary.save(folder / "vocabulary")
learning = time.perf_counter() - began
table = vocabulary.write(read_click_parts(raw, progress=True), folder / "table")
wall_s, seconds = time.perf_counter() - began, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
began = time.perf_counter()
again = type(table).load(folder / "table")
opened_ms = (time.perf_counter() - began) * 1e3
values = sum(len(vocabulary.learnt[f"C{n}"]) for n in range(1, 27))
print(json.dumps({"rows": len(table), "seconds": seconds, "wall_s": wall_s, "learning_s": learning,
                  "peak_mb": peak, "hash": again.hash, "values": values, "opened_ms": opened_ms}))
"""

with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, "-c", MAKE, folder, str(ROWS)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, f"{folder}/raw-*.parquet", folder],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
got = json.loads(done.stdout)
print(json.dumps(got))
assert got["rows"] == ROWS
if ROWS == FULL:
    what = "of coding 45 million synthetic rows of Criteo's 39 columns from Parquet"
    facts = {"seeds": [1], "data_hash": got["hash"], "seconds": got["seconds"]}
    record("ranking", f"CPU time {what}", got["seconds"], "CPU-s", "<=600", **facts)
    record("ranking", f"peak memory {what}", got["peak_mb"], "MB", "<=4000", **facts)
