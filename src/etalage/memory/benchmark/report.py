"""What came of a run? Means with intervals by mechanism and kind, and a table of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from etalage.memory.benchmark.measures import Mean, Row, summary


@dataclass(frozen=True)
class Side:
    """One mechanism."""

    means: dict[str, dict[str, Mean]]
    """By kind of question ("all" of all) and measure."""
    n_messages: int
    write_us: float
    """CPU microseconds a message."""
    residue: dict[str, int]
    """See `deletion.Residue`."""

    @property
    def whole(self) -> dict[str, Mean]:
        """Means over all questions."""
        return self.means.get("all", {})


@dataclass(frozen=True)
class Report:
    """All mechanisms of a run, by name."""

    sides: dict[str, Side]
    rows: list[Row]

    @classmethod
    def of_lines(cls, lines: Iterable[dict[str, Any]]) -> Report:
        """Puts the lines of users together."""
        rows: dict[str, list[Row]] = defaultdict(list)
        written: Counter[str] = Counter()
        spent: Counter[str] = Counter()
        left: dict[str, Counter[str]] = defaultdict(Counter)
        for line in lines:
            name = line["mechanism"]
            rows[name] += [Row(**row) for row in line["rows"]]
            written[name] += line["n_messages"]
            spent[name] += line["n_messages"] * line["write_us"]
            left[name].update(line["residue"])
        sides = {
            name: Side(summary(some), written[name], spent[name] / max(written[name], 1),
                       dict(left[name]))
            for name, some in rows.items()
        }  # fmt: skip
        return cls(sides, [row for some in rows.values() for row in some])

    def value(self, mechanism: str, measure: str, kind: str = "all") -> float:
        """Returns one mean.

        Raises:
            KeyError: where there is none of that name.
        """
        return self.sides[mechanism].means[kind][measure].value

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold, rows left out."""
        return {
            name: {
                "n_messages": side.n_messages,
                "write_us": side.write_us,
                "residue": side.residue,
                "kinds": {
                    kind: {measure: asdict(mean) for measure, mean in means.items()}
                    for kind, means in side.means.items()
                },
            }
            for name, side in self.sides.items()
        }

    def table(self) -> Table:
        """Returns measures by mechanisms, over all questions."""
        table = Table(title="What came back")
        table.add_column("")
        for name in self.sides:
            table.add_column(name, justify="right")
        for measure in OVERALL:
            if any(measure in side.whole for side in self.sides.values()):
                table.add_row(measure, *(_said(s.whole.get(measure)) for s in self.sides.values()))
        table.add_row("write µs", *(f"{side.write_us:.0f}" for side in self.sides.values()))
        left = [side.residue for side in self.sides.values()]
        found = [some.get("n_returned", 0) + some.get("n_on_disk", 0) for some in left]
        table.add_row("left", *map(str, found))
        return table

    def kinds(self, measure: str = "recall@5") -> Table:
        """Returns mechanisms by kinds of questions, of one measure."""
        every = {kind: None for side in self.sides.values() for kind in side.means}
        table = Table(title=f"{measure} by kind of question")
        table.add_column("mechanism")
        for kind in every:
            table.add_column(kind.replace("_", " "), justify="right")
        for name, side in self.sides.items():
            found = [side.means.get(kind, {}).get(measure) for kind in every]
            table.add_row(name, *(_short(mean) for mean in found))
        return table


OVERALL = ("recall@5", "recall@10", "all@5", "mrr", "accuracy", "abstention precision",
           "abstention recall", "stale", "leak", "tokens", "read µs")  # fmt: skip
"""Measures of the table, in its order. The last row, what was left, are forgotten messages that
came back or still stand in a file."""


def _said(mean: Mean | None) -> str:
    if mean is None:
        return "–"
    if mean.value > 2:
        return f"{mean.value:.0f}"
    if mean.low is None or mean.high is None:
        return _short(mean)
    reach = max(mean.high - mean.value, mean.value - mean.low)
    return f"{_short(mean)} ±{reach:.3f}".replace("0.", ".")


def _short(mean: Mean | None) -> str:
    return "–" if mean is None else f"{mean.value:.3f}".removeprefix("0")
