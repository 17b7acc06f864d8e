"""Claims about the main job on real logs: `etalage demo --data` on three of them.

Records every measure of every row. The bar of a row is what `docs/results.md` says of it, give or
take its interval; `--publish` puts what was measured there. A run that was interrupted goes on
where it stopped (`runs/demos`).

    python benchmarks/demos.py [ml-100k beauty movielens-1m] [--publish]
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

from claims import record
from etalage.bench.record import Measure, ModelRow, RunRecord
from etalage.bench.report import interval, write_report
from etalage.pipeline.demo import recipe
from etalage.pipeline.run import run

HERE = Path(__file__).parents[1]
PAGE = HERE / "docs" / "results.md"
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "sequences"
LOGS = {
    "ml-100k": "ml-100k",
    "beauty": "s3rec/beauty",
    "movielens-1m": "timestamped/movielens-1m",
}
COLUMNS = {"ndcg@10": 3, "recall@10": 3, "auc": 3, "log_loss": 3, "ece": 4}
"""Measures in the order of the table, with their digits."""
REACH = {"recall@10": 0.03, "auc": 0.01, "log_loss": 0.02, "ece": 0.02}
"""How far a measure without an interval may stray from what is published."""
HEAD = """| model | NDCG@10 (95 %) | recall@10 | AUC | log-loss | cal. error | p50 ms | training s |
|---|---|---|---|---|---|---|---|
"""


def table(result: RunRecord) -> str:
    """The models of a run as Markdown."""
    return HEAD + "".join(line(row) for row in result.models)


def line(row: ModelRow) -> str:
    cells = [row.name, interval(row.quality["ndcg@10"])]
    for name, digits in list(COLUMNS.items())[1:]:
        cells.append(f"{row.quality[name].value:.{digits}f}" if name in row.quality else "–")
    cells.append(f"{row.latency_ms['p50']:.2f}" if row.latency_ms else "–")
    cells.append("–" if row.train_seconds is None else f"{row.train_seconds:.0f}")
    return f"| {' | '.join(cells)} |\n"


def published(page: str) -> dict[tuple[str, str, str], float]:
    """What the page says: (log, model, measure) -> value."""
    found = {}
    for name in LOGS:
        part = re.search(
            rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE
        )
        for cells in re.findall(r"^\| (.+) \|$", part[1] if part else "", re.MULTILINE):
            model, *values = cells.split(" | ")
            for measure, value in zip(COLUMNS, values, strict=False):
                if number := re.match(r"\d+\.\d+", value):
                    found[name, model, measure] = float(number[0])
    return found


def bar(measure: str, value: Measure, said: float | None) -> str:
    """The published value and how far one may stray from it."""
    reach = REACH.get(measure) or (value.high - value.low) / 2
    return f"{value.value if said is None else said:.4f}±{reach:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(LOGS))
    parser.add_argument("--publish", action="store_true", help="write the tables of the page")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no sequences in the data folder; set ETALAGE_DATA")
    for name in options.names:
        started = time.perf_counter()
        folder = HERE / "runs" / "demos" / name
        result = run(recipe(str(DATA / LOGS[name])), folder, print)
        assert result is not None
        write_report(result, folder / "report.html")
        if options.publish:
            publish(name, result)
        said = published(PAGE.read_text(encoding="utf-8"))
        for row in result.models:
            for measure in COLUMNS.keys() & row.quality.keys():
                value = row.quality[measure]
                record("house", f"{measure} of {row.name} in the demo on {name}", value.value, "",
                       bar(measure, value, said.get((name, row.name, measure))), seeds=row.seeds,
                       data_hash=result.provenance["data_hash"],
                       seconds=time.perf_counter() - started)  # fmt: skip


def publish(name: str, result: RunRecord) -> None:
    """Puts a log's table in its place on the page."""
    facts = result.data
    asked = f"{facts['split'].replace('_', ' ')}, {facts['test questions']:,} questions"
    page = PAGE.read_text(encoding="utf-8")
    section = f"## {name}\n\n{asked}\n\n{table(result)}\n"
    changed = re.sub(
        rf"^## {re.escape(name)}\n.*?(?=^## |\Z)",
        lambda _: section,
        page,
        flags=re.DOTALL | re.MULTILINE,
    )
    PAGE.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    main()
