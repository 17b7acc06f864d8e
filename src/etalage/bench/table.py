"""What does a run say in a terminal? One table, narrow enough for 100 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etalage.bench.record import Measure, ModelRow, RunRecord

if TYPE_CHECKING:
    from rich.table import Table

DIGITS = (("recall@10", 3), ("auc", 3), ("log_loss", 3), ("ece", 4))
STYLES = {"baseline": "dim", "bound": "cyan"}


def models_table(record: RunRecord) -> Table:
    """Models with their quality and cost; an en dash where a measure does not apply."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(record.name), padding=(0, 1), box=SIMPLE_HEAD)
    table.add_column("model")
    for name in ("NDCG@10", "recall@10", "AUC", "log-loss", "cal. error", "p50/p99 ms", "train s"):
        table.add_column(name, justify="right")
    for row in record.models:
        ndcg = row.quality.get("ndcg@10")
        times = row.latency_ms
        table.add_row(
            Text(row.name),
            with_reach(ndcg, 3) if ndcg else "–",
            *(_value(row, name, digits) for name, digits in DIGITS),
            f"{times['p50']:.1f}/{times['p99']:.1f}" if "p50" in times else "–",
            "–" if row.train_seconds is None else f"{row.train_seconds:.1f}",
            style=STYLES.get(row.role),
        )
    return table


def with_reach(measure: Measure, digits: int) -> str:
    """A value with half the width of its interval: '0.202 ±0.014'."""
    if measure.low is None or measure.high is None:
        return f"{measure.value:.{digits}f}"
    return f"{measure.value:.{digits}f} ±{(measure.high - measure.low) / 2:.{digits}f}"


def _value(row: ModelRow, name: str, digits: int) -> str:
    measure = row.quality.get(name)
    return "–" if measure is None else f"{measure.value:.{digits}f}"
