"""Do the clicks come as often as they were promised? A reliability diagram as SVG text.

The curves differ in dash and in mark as well as in colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from etalage.calibrate.drawing import (
    ACCENT,
    INK,
    MUTED,
    RULE,
    Axis,
    Panel,
    points,
    shortened,
    text,
    tick,
)

WIDTH, HEIGHT = 420, 500
LEFT, RIGHT, TOP, BOTTOM = 56, 404, 40, 388
MASS_TOP, MASS_BOTTOM = 424, 472  # the histogram beneath
SMALL_WIDTH, SMALL_HEIGHT = 224, 244
N_SLOTS = 29
CROWDED = 5.0
"""Axes are bent where half of the marks would lie in so small a part of a straight one."""
BEYOND = 2.0
"""How far an axis follows a band beyond the last mark, as a ratio."""


class ReliabilityBin(Protocol):
    """What a bin must tell: `etalage.calibrate.reliability.Bin`, or a record of one."""

    @property
    def predicted(self) -> float: ...
    @property
    def observed(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def count(self) -> float: ...


Bins = Sequence[ReliabilityBin]


@dataclass(frozen=True)
class _Frame:
    """A square whose two axes are the same."""

    axis: Axis
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM
    radius: float = 3
    apart: float = 0.15

    def x(self, rate: float) -> float:
        return round(self.left + (self.right - self.left) * self.axis.share(rate), 1)

    def y(self, rate: float) -> float:
        return round(self.bottom - (self.bottom - self.top) * self.axis.share(rate), 1)

    def points(self, pairs: Iterable[tuple[float, float]]) -> str:
        return points([(self.x(x), self.y(y)) for x, y in pairs])


def picture(before: Bins, after: Bins) -> str:
    """Draws observed against predicted rates before and after calibration, as SVG text."""
    return diagram(before, after).svg()


def diagram(before: Bins, after: Bins) -> Panel:
    """Observed against predicted rates before and after calibration.

    Each curve has its band; where it leaves the diagonal the probabilities are wrong. Bars beneath
    show where the impressions lie.
    """
    frame = _Frame(axis_of([before, after]))
    body = (
        _grid(frame)
        + text(LEFT, 14, "Observed click rate", size=13, is_bold=True)
        + f'<line x1="{LEFT}" y1="{MASS_BOTTOM}" x2="{RIGHT}" y2="{MASS_BOTTOM}" stroke="{RULE}"/>'
        + text(RIGHT, HEIGHT - 10, "predicted click rate; bars: impressions", anchor="end")
        + _legend()
        + _curves(frame, before, after)
        + _mass(frame, [(before, MUTED), (after, ACCENT)])
    )
    label = "Reliability before and after calibration: observed against predicted click rates"
    return Panel(WIDTH, HEIGHT, label, body)


def small_diagram(before: Bins, after: Bins, axis: Axis, name: str) -> Panel:
    """The same for one of many, on an axis that they share."""
    frame = _Frame(axis, left=46, right=SMALL_WIDTH - 8, top=44, bottom=214, radius=2, apart=0.26)
    count = sum(b.count for b in after)
    body = (
        text(frame.left, 14, shortened(name, SMALL_WIDTH - 54, 12), size=12, is_bold=True)
        + text(frame.left, 30, f"{count:,.0f} impressions", fill=MUTED)
        + _grid(frame)
        + _curves(frame, before, after)
    )
    return Panel(SMALL_WIDTH, SMALL_HEIGHT, f"Reliability of {name}", body)


def axis_of(curves: Iterable[Bins]) -> Axis:
    """One for all the curves: straight, or of log-odds where marks would crowd in a corner."""
    bins = [b for curve in curves for b in curve]
    rates = [rate for b in bins for rate in (b.predicted, b.observed) if rate > 0]
    largest = max(rates, default=0.0)
    reach = max((b.high for b in bins), default=0.0)
    if not rates or CROWDED * median(b.predicted for b in bins) > largest:
        return Axis(0.0, max(largest, min(reach, BEYOND * largest)) or reach or 1.0)
    least = max(min(b.low for b in bins), min(rates) / BEYOND)
    most = min(max(reach, largest), 1 - (1 - largest) / BEYOND, BEYOND * largest)
    return Axis(min(least, min(rates)), min(max(most, largest), 1 - 1e-9), "log_odds")


def _grid(frame: _Frame) -> str:
    """Lines with their percentages, and the diagonal."""
    parts = []
    for rate in frame.axis.ticks(frame.apart):
        x, y, words = frame.x(rate), frame.y(rate), f"{round(100 * rate, 9):g} %"
        parts.append(
            f'<line x1="{frame.left}" y1="{y}" x2="{frame.right}" y2="{y}" stroke="{RULE}"/>'
            + text(frame.left - 6, y + 4, words, fill=MUTED, anchor="end")
            + tick(x, frame.bottom + 16, words, frame.right)
        )
    parts.append(
        f'<line x1="{frame.left}" y1="{frame.bottom}" x2="{frame.right}" y2="{frame.top}" '
        f'stroke="{INK}" stroke-dasharray="1 3"/>'
    )
    return "".join(parts)


def _legend() -> str:
    return (
        f'<line x1="{RIGHT - 150}" y1="10" x2="{RIGHT - 126}" y2="10" stroke="{MUTED}" '
        f'stroke-width="2" stroke-dasharray="5 4"/>'
        + text(RIGHT - 120, 14, "before")
        + f'<line x1="{RIGHT - 60}" y1="10" x2="{RIGHT - 36}" y2="10" stroke="{ACCENT}" '
        f'stroke-width="2"/>' + text(RIGHT, 14, "after", anchor="end")
    )


def _curves(frame: _Frame, before: Bins, after: Bins) -> str:
    """Both bands, and over them both curves."""
    return (
        _band(frame, before, MUTED)
        + _band(frame, after, ACCENT)
        + _curve(frame, before, "before", MUTED, ' stroke-dasharray="5 4"')
        + _curve(frame, after, "after", ACCENT, "")
    )


def _band(frame: _Frame, bins: Bins, colour: str) -> str:
    """The band of a curve; a whisker where a single bin makes no band."""
    if len(bins) == 1:
        ends = frame.points([(bins[0].predicted, bins[0].low), (bins[0].predicted, bins[0].high)])
        return f'<polyline points="{ends}" stroke="{colour}" stroke-width="6" opacity=".25"/>'
    edge = [(b.predicted, b.high) for b in bins] + [(b.predicted, b.low) for b in reversed(bins)]
    return f'<polygon points="{frame.points(edge)}" fill="{colour}" opacity=".18"/>'


def _curve(frame: _Frame, bins: Bins, name: str, colour: str, dash: str) -> str:
    path = frame.points((b.predicted, b.observed) for b in bins)
    dots = "".join(
        f'<circle cx="{frame.x(b.predicted)}" cy="{frame.y(b.observed)}" r="{frame.radius:g}" '
        f'fill="{colour}"><title>{name}: {_percent(b.predicted)} % predicted, '
        f"{_percent(b.observed)} % observed ({_percent(b.low)} to {_percent(b.high)}), "
        f"{b.count:,.0f} impressions</title></circle>"
        for b in bins
    )
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-linejoin="round"{dash}/>{dots}'
    )


def _mass(frame: _Frame, columns: Sequence[tuple[Bins, str]]) -> str:
    """Histograms of impressions over predicted rates, side by side in each slot of the axis."""
    slot = (RIGHT - LEFT) / N_SLOTS
    counts = [[0.0] * N_SLOTS for _ in columns]
    for row, (bins, _) in zip(counts, columns, strict=True):
        for b in bins:
            row[min(int(N_SLOTS * frame.axis.share(b.predicted)), N_SLOTS - 1)] += b.count
    tallest = max(max(row) for row in counts) or 1
    wide = slot / len(columns)
    bars = []
    for side, (row, (_, colour)) in enumerate(zip(counts, columns, strict=True)):
        for i, n in enumerate(row):
            if n:
                high = max((MASS_BOTTOM - MASS_TOP) * n / tallest, 1)  # few are still some
                bars.append(
                    f'<rect x="{LEFT + i * slot + side * wide:.1f}" y="{MASS_BOTTOM - high:.1f}" '
                    f'width="{wide - 0.5:.1f}" height="{high:.1f}" fill="{colour}">'
                    f"<title>{n:,.0f} impressions</title></rect>"
                )
    return "".join(bars)


def _percent(rate: float) -> str:
    """Two decimals, or two digits where that would be none."""
    return f"{100 * rate:.2f}" if rate >= 0.001 else f"{100 * rate:.2g}"
