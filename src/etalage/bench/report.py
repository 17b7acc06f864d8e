"""What would one show a director? A run as one HTML file that needs nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from etalage.artefact import whole_file
from etalage.bench import charts
from etalage.bench.record import Measure, ModelRow, RunRecord
from etalage.calibrate.picture import picture
from etalage.errors import BundleError

METRIC = "ndcg@10"


def write_report(record: RunRecord, path: Path) -> None:
    """Writes `report.html`: style and pictures inside, no script, no network."""
    html = render(record)
    with whole_file(path) as draft:
        draft.write_text(html, encoding="utf-8")


def load_record(folder: Path) -> RunRecord:
    """Reads the `record.json` of a run; BundleError where there is none."""
    try:
        return RunRecord.model_validate_json((folder / "record.json").read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(
            f"no finished run in {folder} ({type(error).__name__}); run `etalage demo` first"
        ) from error


def render(record: RunRecord) -> str:
    """The report as HTML."""
    log_picture = str(record.data.get("picture", ""))
    points = [
        (row.name, row.latency_ms["p50"], row.quality[METRIC].value, row.role)
        for row in record.models
        if METRIC in row.quality and "p50" in row.latency_ms
    ]
    most = max((r.quality[METRIC].value for r in record.models if METRIC in r.quality), default=0)
    calibration = record.calibration
    return str(
        _template().render(
            record=record,
            headline=headline(record),
            most=most * 1.05,
            whisker=lambda row: Markup(charts.whisker(row.quality[METRIC], most * 1.05, row.role)),
            frontier=Markup(charts.frontier(points, "milliseconds a request, median", "NDCG@10"))
            if points
            else "",
            curves={
                name: Markup(charts.curve(rows, "auc" if "auc" in rows[-1] else METRIC))
                for name, rows in record.curves.items()
                if len(rows) > 1
            },
            reliability=Markup(picture(calibration.before, calibration.after))
            if calibration
            else "",
            # drawn by `data.picture` of numbers and an escaped name
            log_picture=Markup(log_picture) if log_picture.startswith("<svg") else "",
        )
    )


def headline(record: RunRecord) -> list[str]:
    """What was found, in sentences."""
    rows = [row for row in record.models if METRIC in row.quality and row.role != "bound"]
    said = []
    if rows:
        best = max(rows, key=lambda row: row.quality[METRIC].value)
        said.append(f"{best.name} orders best: NDCG@10 {interval(best.quality[METRIC])}.")
        simple = [row for row in rows if row.role == "baseline" and row is not best]
        told = [f"{_times(best, row)} that of {row.name}" for row in simple]
        if told:
            said.append(f"That is {' and '.join(told)}.")
        bound = [row for row in record.models if row.role == "bound" and METRIC in row.quality]
        if bound:
            share = best.quality[METRIC].value / bound[0].quality[METRIC].value
            said.append(f"The best possible order would reach {bound[0].quality[METRIC].value:.3f}"
                        f"; {100 * share:.0f} % of it is reached.")  # fmt: skip
    served = next((row for row in record.models if row.note.startswith("served")), None)
    if served is not None:
        said.append(
            f"{served.name} is served, in {served.latency_ms['p50']:.1f} ms (median) a request."
        )
    if record.calibration is not None:
        after = record.calibration.metrics["after"]
        near = after["ece"] <= 1.2 * after["ece_floor"]
        said.append(
            f"Probabilities are off by {100 * after['ece']:.2f} points on average"
            + (", no more than chance would have it." if near else
               f", where chance alone would give {100 * after['ece_floor']:.2f}.")
        )  # fmt: skip
    return said


def _times(best: ModelRow, other: ModelRow) -> str:
    value = other.quality[METRIC].value
    return f"{best.quality[METRIC].value / value:.1f} times" if value else "more than"


def interval(measure: Measure) -> str:
    """A value with its interval: '0.202 (0.188 to 0.216)'."""
    text = f"{measure.value:.3f}"
    if measure.low is None or measure.high is None:
        return text
    return f"{text} ({measure.low:.3f} to {measure.high:.3f})"


def _number(value: Any, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("etalage.bench"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "interval": interval}
    return environment.get_template("report.html")
