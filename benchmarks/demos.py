"""Claims about the main job on real logs: `etalage demo --data` on three of them.

Records NDCG@10 of every row; the tables of `docs/results.md` are left beside each run. A run that
was interrupted goes on where it stopped (`runs/demos`).

    python benchmarks/demos.py [ml-100k beauty movielens-1m]
"""

import argparse
import os
import sys
import time
from pathlib import Path

from claims import record
from etalage.bench.record import ModelRow, RunRecord
from etalage.bench.report import interval, write_report
from etalage.pipeline.demo import recipe
from etalage.pipeline.run import run

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "sequences"
LOGS = {
    "ml-100k": "ml-100k",
    "beauty": "s3rec/beauty",
    "movielens-1m": "timestamped/movielens-1m",
}
COLUMNS = (("recall@10", 3), ("auc", 3), ("log_loss", 3), ("ece", 4))
HEAD = """| model | NDCG@10 (95 %) | recall@10 | AUC | log-loss | cal. error | p50 ms | training s |
|---|---|---|---|---|---|---|---|
"""


def table(result: RunRecord) -> str:
    """The models of a run as Markdown."""
    return HEAD + "".join(line(row) for row in result.models)


def line(row: ModelRow) -> str:
    cells = [row.name, interval(row.quality["ndcg@10"])]
    for name, digits in COLUMNS:
        cells.append(f"{row.quality[name].value:.{digits}f}" if name in row.quality else "–")
    cells.append(f"{row.latency_ms['p50']:.2f}" if row.latency_ms else "–")
    cells.append("–" if row.train_seconds is None else f"{row.train_seconds:.0f}")
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(LOGS))
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no sequences in the data folder; set ETALAGE_DATA")
    for name in options.names:
        started = time.perf_counter()
        folder = HERE / "runs" / "demos" / name
        result = run(recipe(str(DATA / LOGS[name])), folder, print)
        assert result is not None
        write_report(result, folder / "report.html")
        for row in result.models:
            record("house", f"NDCG@10 of {row.name} in the demo on {name}",
                   row.quality["ndcg@10"].value, "", ">=0", seeds=row.seeds,
                   data_hash=result.provenance["data_hash"],
                   seconds=time.perf_counter() - started)  # fmt: skip
        facts = result.data
        asked = f"{facts['split'].replace('_', ' ')}, {facts['test questions']:,} questions"
        (folder / "table.md").write_text(f"## {name}\n\n{asked}\n\n{table(result)}\n")


if __name__ == "__main__":
    main()
