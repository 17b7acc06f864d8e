"""What came out, beside what was published? A table for the terminal, Markdown, CSV and SVG."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from etalage.artefact import whole_file
from etalage.bench import charts
from etalage.bench.record import Measure
from etalage.bench.table import with_reach
from etalage.evaluate.significance import runs_interval
from etalage.pipeline.reproduce.published import FLOOR, Published, Row, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

HEADS = (
    "model", "AUC (95 %)", "published", "more by", "log-loss (95 %)", "calibrated", "published",
    "more by", "parameters", "rows/s",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One row of a table, over its seeds."""

    name: str
    kind: str
    n_seeds: int
    auc: Measure
    log_loss: Measure
    log_loss_calibrated: Measure
    gauc: float | None
    published: Published | None
    n_parameters: int
    rows_per_second: float
    seconds: float
    cpu_seconds: float
    best_epoch: float


def line_of(row: Row, results: list[dict[str, Any]]) -> Line:
    """Means over runs; the interval is over seeds, and over test rows where there is one seed."""

    def measure(name: str) -> Measure:
        values = [result[name] for result in results]
        low, high = runs_interval(values) if len(values) > 1 else results[0][f"{name}_interval"]
        return Measure(value=mean(values), low=low, high=high)

    def average(name: str) -> float:
        return mean(result[name] for result in results)

    return Line(
        name=row.name,
        kind=results[0]["kind"],
        n_seeds=len(results),
        auc=measure("auc"),
        log_loss=measure("log_loss"),
        log_loss_calibrated=measure("log_loss_calibrated"),
        gauc=None if results[0].get("gauc") is None else average("gauc"),
        published=row.published,
        n_parameters=results[0]["n_parameters"],
        rows_per_second=average("rows_per_second"),
        seconds=average("seconds"),
        cpu_seconds=average("cpu_seconds"),
        best_epoch=average("best_epoch"),
    )


def write(table: Table, lines: list[Line], out: Path) -> None:
    """Writes `table.md`, `table.csv` and `table.svg`, each whole or not at all."""
    files = {
        "table.md": markdown(table, lines),
        "table.csv": as_csv(lines),
        "table.svg": picture(table, lines),
    }
    for name, text in files.items():
        with whole_file(out / name) as draft:
            draft.write_text(text, encoding="utf-8")


def rich_table(table: Table, lines: list[Line]) -> RichTable:
    """The table for a terminal of 130 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=Text(table.title), padding=(0, 1), box=SIMPLE_HEAD)
    shown.add_column(HEADS[0])
    for head in HEADS[1:]:
        shown.add_column(head, justify="right", no_wrap=True)
    for line in lines:
        cells = [Text(cell) for cell in _cells(line)]
        shown.add_row(*cells, style="dim" if line.kind == FLOOR else None)
    return shown


def markdown(table: Table, lines: list[Line]) -> str:
    """The table as Markdown, with the source of every published figure."""
    rows = [HEADS, ("---",) * len(HEADS), *(_cells(line) for line in lines)]
    sources = [f"- {line.name}: {line.published.source}" for line in lines if line.published]
    seeds = sorted({line.n_seeds for line in lines})
    over = "test rows (one seed)" if seeds == [1] else f"{seeds[-1]} seeds (Student's t)"
    parts = [f"# {table.title}", table.note.strip(), f"95 % intervals are over {over}."]
    parts.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
    parts.append("Published figures:\n\n" + "\n".join(sources) if sources else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def as_csv(lines: list[Line]) -> str:
    """All of the lines, one column a number; empty where nothing was published."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    measures = ("auc", "log_loss", "log_loss_calibrated")
    others = ("n_parameters", "rows_per_second", "seconds", "cpu_seconds", "best_epoch", "gauc")
    ends = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    writer.writerow(
        ["name", "kind", "n_seeds", *ends, "published_auc", "published_log_loss", *others]
    )
    for line in lines:
        found = [getattr(line, name) for name in measures]
        published = line.published
        writer.writerow(
            [
                *(line.name, line.kind, line.n_seeds),
                *(value for m in found for value in (m.value, m.low, m.high)),
                *((published.auc, published.log_loss) if published else (None, None)),
                *(getattr(line, name) for name in others),
            ]
        )
    return text.getvalue()


def picture(table: Table, lines: list[Line]) -> str:
    """AUC of the rows with intervals, and what was published, as an SVG that stands alone."""
    rows = [
        (
            line.name,
            line.auc,
            line.published.auc if line.published else None,
            "baseline" if line.kind == FLOOR else "model",
        )
        for line in lines
    ]
    return charts.standalone(charts.against(rows, f"AUC: {table.title}"))


def _cells(line: Line) -> tuple[str, ...]:
    published = line.published
    return (
        line.name,
        with_reach(line.auc, 4),
        f"{published.auc:.4f}" if published else "–",
        f"{line.auc.value - published.auc:+.4f}" if published else "–",
        with_reach(line.log_loss, 4),
        f"{line.log_loss_calibrated.value:.4f}",
        f"{published.log_loss:.4f}" if published else "–",
        f"{line.log_loss.value - published.log_loss:+.4f}" if published else "–",
        f"{line.n_parameters:,}",
        f"{line.rows_per_second:,.0f}",
    )
