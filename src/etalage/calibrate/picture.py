"""Do the clicks come as often as they were promised? A reliability diagram as SVG text.

Colours are CSS variables of the page (`--ink`, `--muted`, `--accent`, `--rule`) with values to
fall back on that can be read on white and on black. The curves differ in dash and in mark as well
as in colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10
from typing import Protocol

WIDTH, HEIGHT = 420, 500
LEFT, RIGHT, TOP, BOTTOM = 56, 404, 40, 388
MASS_TOP, MASS_BOTTOM = 424, 472  # the histogram beneath
N_SLOTS = 29
INK = "var(--ink, #75808c)"
MUTED = "var(--muted, #808a95)"
ACCENT = "var(--accent, #3f87d6)"
RULE = "var(--rule, #808a9566)"


class ReliabilityBin(Protocol):
    """What a bin must tell: `etalage.calibrate.measures.Bin`, or a record of one."""

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


def picture(before: Sequence[ReliabilityBin], after: Sequence[ReliabilityBin]) -> str:
    """Draws observed against predicted rates before and after calibration, as SVG text.

    Each curve has its 95 % band; where it leaves the diagonal the probabilities are wrong. Bars
    beneath show where the impressions lie. Both axes end at the largest rate or end of a band.
    """
    most = max((max(b.predicted, b.high) for b in (*before, *after)), default=1.0) or 1.0
    curves = "".join(
        _band(bins, most, colour) + _curve(bins, most, name, colour, dash)
        for name, bins, colour, dash in (
            ("before", before, MUTED, ' stroke-dasharray="5 4"'),
            ("after", after, ACCENT, ""),
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" '
        f'style="max-width:{WIDTH}px" role="img" font-family="system-ui, sans-serif" '
        f'font-size="11"><title>Reliability before and after calibration: observed against '
        f"predicted click rates</title>{_frame(most)}{_legend()}{curves}"
        f"{_mass([(before, MUTED), (after, ACCENT)], most)}</svg>"
    )


def _x(rate: float, most: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * rate / most, 1)


def _y(rate: float, most: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * rate / most, 1)


def _points(pairs: Iterable[tuple[float, float]], most: float) -> str:
    return " ".join(f"{_x(x, most)},{_y(y, most)}" for x, y in pairs)


def _frame(most: float) -> str:
    """The grid with its percentages, the diagonal, and the names of the axes."""
    parts = []
    for rate in _ticks(most):
        x, y = _x(rate, most), _y(rate, most)
        parts.append(
            f'<line x1="{LEFT}" y1="{y}" x2="{RIGHT}" y2="{y}" stroke="{RULE}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end" fill="{MUTED}">'
            f"{100 * rate:g} %</text>"
            f'<text x="{x}" y="{BOTTOM + 16}" text-anchor="middle" fill="{MUTED}">'
            f"{100 * rate:g} %</text>"
        )
    parts.append(
        f'<line x1="{LEFT}" y1="{BOTTOM}" x2="{RIGHT}" y2="{TOP}" stroke="{INK}" '
        f'stroke-dasharray="1 3"/>'
        f'<text x="{LEFT}" y="14" font-size="13" font-weight="600" fill="{INK}">'
        f"Observed click rate</text>"
        f'<line x1="{LEFT}" y1="{MASS_BOTTOM}" x2="{RIGHT}" y2="{MASS_BOTTOM}" stroke="{RULE}"/>'
        f'<text x="{RIGHT}" y="{HEIGHT - 10}" text-anchor="end" fill="{INK}">'
        f"predicted click rate; bars: impressions</text>"
    )
    return "".join(parts)


def _legend() -> str:
    return (
        f'<line x1="{RIGHT - 150}" y1="10" x2="{RIGHT - 126}" y2="10" stroke="{MUTED}" '
        f'stroke-width="2" stroke-dasharray="5 4"/>'
        f'<text x="{RIGHT - 120}" y="14" fill="{INK}">before</text>'
        f'<line x1="{RIGHT - 60}" y1="10" x2="{RIGHT - 36}" y2="10" stroke="{ACCENT}" '
        f'stroke-width="2"/><text x="{RIGHT}" y="14" text-anchor="end" fill="{INK}">after</text>'
    )


def _band(bins: Sequence[ReliabilityBin], most: float, colour: str) -> str:
    """The 95 % band of a curve; a whisker where a single bin makes no band."""
    if len(bins) == 1:
        ends = _points([(bins[0].predicted, bins[0].low), (bins[0].predicted, bins[0].high)], most)
        return f'<polyline points="{ends}" stroke="{colour}" stroke-width="6" opacity=".25"/>'
    edge = [(b.predicted, b.high) for b in bins] + [(b.predicted, b.low) for b in reversed(bins)]
    return f'<polygon points="{_points(edge, most)}" fill="{colour}" opacity=".18"/>'


def _curve(bins: Sequence[ReliabilityBin], most: float, name: str, colour: str, dash: str) -> str:
    path = _points(((b.predicted, b.observed) for b in bins), most)
    dots = "".join(
        f'<circle cx="{_x(b.predicted, most)}" cy="{_y(b.observed, most)}" r="3" '
        f'fill="{colour}"><title>{name}: {100 * b.predicted:.2f} % predicted, '
        f"{100 * b.observed:.2f} % observed ({100 * b.low:.2f} to {100 * b.high:.2f}), "
        f"{b.count:,.0f} impressions</title></circle>"
        for b in bins
    )
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-linejoin="round"{dash}/>{dots}'
    )


def _mass(columns: Sequence[tuple[Sequence[ReliabilityBin], str]], most: float) -> str:
    """Histograms of impressions over predicted rates, side by side in each slot of the axis."""
    slot = (RIGHT - LEFT) / N_SLOTS
    counts = [[0.0] * N_SLOTS for _ in columns]
    for row, (bins, _) in zip(counts, columns, strict=True):
        for b in bins:
            row[min(int(N_SLOTS * b.predicted / most), N_SLOTS - 1)] += b.count
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


def _ticks(most: float) -> list[float]:
    """Round rates from 0 to `most`, four or so."""
    step = 10.0 ** floor(log10(most / 3))
    step *= next(m for m in (1, 2, 5, 10) if most / (m * step) <= 5)
    return [round(n * step, 12) for n in range(int(most / step) + 1)]
