"""What does it look like? Small pictures as SVG text, for a page that is light or dark.

Colours are the page's CSS variables: `--ink`, `--muted`, `--rule`, `--accent`, `--second`;
`standalone` brings them along for a picture that is a file of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

from etalage.bench.record import Measure

Point = tuple[str, float, float, str]
"""Name, x, y and role of a model."""
STYLE = """
svg { color-scheme: light dark; font-family: system-ui, sans-serif; background: var(--page);
  --page: #faf8f4; --ink: #1f1d1a; --muted: #6c665d; --rule: #e0dace; --accent: #a3421c; --second: #2f6f86; }
@media (prefers-color-scheme: dark) { svg {
  --page: #171614; --ink: #efebe3; --muted: #a59e92; --rule: #3d3831; --accent: #f0a27e; --second: #7fc0d6; } }
.grid { stroke: var(--rule); } .tick { fill: var(--muted); font-size: 12px; }
.label { fill: var(--ink); font-size: 13px; } .mid { text-anchor: middle; } .end { text-anchor: end; }
.line { fill: none; stroke: var(--accent); stroke-width: 2; }
"""  # noqa: E501


def whisker(measure: Measure, most: float, role: str) -> str:
    """A dot with its interval on a line from 0 to `most`."""

    def x(value: float) -> float:
        return round(4 + 132 * min(max(value / most, 0), 1), 1) if most else 4

    band = ""
    if measure.low is not None and measure.high is not None:
        band = (
            f'<line x1="{x(measure.low)}" x2="{x(measure.high)}" y1="8" y2="8" '
            f'stroke="var(--{_colour(role)})" stroke-width="3" opacity=".45"/>'
        )
    return (
        '<svg class="whisker" viewBox="0 0 140 16" width="140" height="16" aria-hidden="true">'
        '<line x1="4" x2="136" y1="8" y2="8" stroke="var(--rule)"/>'
        f'{band}<circle cx="{x(measure.value)}" cy="8" r="4" fill="var(--{_colour(role)})"/></svg>'
    )


def frontier(points: Sequence[Point], x_name: str, y_name: str) -> str:
    """Quality against cost, cost on a logarithmic axis; a line joins what nothing dominates."""
    width, height, left, bottom, top = 640, 320, 56, 270, 20
    costs = [max(p[1], 1e-3) for p in points]
    first, last = floor(log10(min(costs))), ceil(log10(max(costs)))
    last = max(last, first + 1)
    most = max(p[2] for p in points) * 1.12 or 1.0

    def x(cost: float) -> float:
        return left + (width - left - 120) * (log10(max(cost, 1e-3)) - first) / (last - first)

    def y(quality: float) -> float:
        return bottom - (bottom - top) * quality / most

    parts = [
        f'<text x="{x(10.0**t):.1f}" y="{bottom + 18}" class="tick mid">{10.0**t:g}</text>'
        f'<line x1="{x(10.0**t):.1f}" x2="{x(10.0**t):.1f}" y1="{top}" y2="{bottom}" class="grid"/>'
        for t in range(first, last + 1)
    ]
    parts += [
        f'<text x="{left - 8}" y="{y(v) + 4:.1f}" class="tick end">{v:.2f}</text>'
        f'<line x1="{left}" x2="{width - 120}" y1="{y(v):.1f}" y2="{y(v):.1f}" class="grid"/>'
        for v in _ticks(most)
    ]
    best, line = -1.0, []
    for _, cost, quality, _ in sorted(points, key=lambda p: (p[1], -p[2])):
        if quality > best:
            best = quality
            line.append(f"{x(cost):.1f},{y(quality):.1f}")
    parts.append(f'<polyline points="{" ".join(line)}" class="front"/>')
    taken: list[tuple[float, float]] = []
    for name, cost, quality, role in sorted(points, key=lambda p: -p[2]):
        at, up = x(cost), y(quality)
        label = up
        while any(abs(label - other) < 14 and abs(at - place) < 130 for place, other in taken):
            label += 3
        taken.append((at, label))
        parts.append(
            f'<circle cx="{at:.1f}" cy="{up:.1f}" r="5" fill="var(--{_colour(role)})"/>'
            f'<text x="{at + 10:.1f}" y="{label + 4:.1f}" class="label">{escape(name)}</text>'
        )
    parts.append(f'<text x="{left}" y="{height - 12}" class="tick">{escape(x_name)}</text>')
    parts.append(f'<text x="4" y="12" class="tick">{escape(y_name)}</text>')
    return _svg(width, height, f"{y_name} against {x_name}", parts)


def curve(rows: Sequence[dict[str, float]], metric: str) -> str:
    """A validation metric by epoch, the best one marked."""
    known = [(row["epoch"], row[metric]) for row in rows if metric in row]
    width, height, left, bottom, top = 300, 150, 44, 122, 14
    if len(known) < 2:
        return ""
    low, high = min(v for _, v in known), max(v for _, v in known)
    span = (high - low) or 1.0
    first, last = known[0][0], known[-1][0]

    def place(epoch: float, value: float) -> tuple[float, float]:
        across = left + (width - left - 12) * (epoch - first) / (last - first)
        return round(across, 1), round(bottom - (bottom - top) * (value - low) / span, 1)

    best = max(known, key=lambda row: row[1])
    path = " ".join("{},{}".format(*place(*row)) for row in known)
    x, y = place(*best)
    side = "end" if x > width / 2 else "start"
    parts = [
        f'<line x1="{left}" x2="{width - 12}" y1="{bottom}" y2="{bottom}" class="grid"/>',
        f'<polyline points="{path}" class="line"/>',
        f'<circle cx="{x}" cy="{y}" r="4" fill="var(--accent)"/>',
        f'<text x="{left - 6}" y="{top + 4}" class="tick end">{high:.3f}</text>',
        f'<text x="{left - 6}" y="{bottom}" class="tick end">{low:.3f}</text>',
        f'<text x="{left}" y="{bottom + 16}" class="tick">epoch {first:.0f}</text>',
        f'<text x="{width - 12}" y="{bottom + 16}" class="tick end">{last:.0f}</text>',
        f'<text x="{x}" y="{y + 16}" class="tick {side}">best {best[0]:.0f}</text>',
    ]
    return _svg(width, height, f"{metric} by epoch", parts)


def against(rows: Sequence[tuple[str, Measure, float | None, str]], title: str) -> str:
    """A line a model: its name, value with interval, the value expected (a bar), and its role."""
    longest = max(len(name) for name, *_ in rows)
    left = max(150, 24 + 7 * longest)  # a letter of a name is some 7 wide
    right, top, step = left + 450, 40, 24
    ends = [end for _, m, other, _ in rows for end in (m.low, m.high, m.value, other)]
    known = [end for end in ends if end is not None]
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    bottom = top + step * len(rows)

    def x(value: float) -> float:
        return round(left + (right - left) * (value - low) / span, 1)

    parts = [f'<text x="4" y="18" class="label">{escape(title)}</text>']
    for share in (0.0, 0.5, 1.0):
        value = low + share * span
        parts.append(
            f'<line x1="{x(value)}" x2="{x(value)}" y1="{top - 8}" y2="{bottom}" class="grid"/>'
            f'<text x="{x(value)}" y="{bottom + 18}" class="tick mid">{value:.4f}</text>'
        )
    for n, (name, measure, expected, role) in enumerate(rows):
        y, colour = top + step * n + 6, f"var(--{_colour(role)})"
        parts.append(f'<text x="{left - 14}" y="{y + 4}" class="label end">{escape(name)}</text>')
        if measure.low is not None and measure.high is not None:
            parts.append(
                f'<line x1="{x(measure.low)}" x2="{x(measure.high)}" y1="{y}" y2="{y}" '
                f'stroke="{colour}" stroke-width="3" opacity=".45"/>'
            )
        parts.append(f'<circle cx="{x(measure.value)}" cy="{y}" r="4" fill="{colour}"/>')
        if expected is not None:
            parts.append(
                f'<line x1="{x(expected)}" x2="{x(expected)}" y1="{y - 8}" y2="{y + 8}" '
                'stroke="var(--second)" stroke-width="2"/>'
            )
    if any(expected is not None for _, _, expected, _ in rows):
        parts.append(
            f'<text x="{left}" y="{bottom + 36}" class="tick">dots: computed here, with 95 % '
            "intervals; bars: published</text>"
        )
    return _svg(right + 40, bottom + 44, title, parts)


def tries(points: Sequence[tuple[int, float, bool]], metric: str) -> str:
    """What each try reached, by number; hollow where it was ended early; a line joins the bests."""
    width, height, left, bottom, top = 640, 300, 56, 260, 32
    if not points:
        return ""
    values = [value for _, value, _ in points]
    low, high, last = min(values), max(values), max(max(n for n, _, _ in points), 1)
    span = (high - low) or 1.0

    def place(n: float, value: float) -> tuple[float, float]:
        across = left + (width - left - 16) * n / last
        return round(across, 1), round(bottom - (bottom - top) * (value - low) / span, 1)

    parts = []
    for value in sorted({low, high}):
        _, y = place(0, value)
        parts.append(
            f'<line x1="{left}" x2="{width - 16}" y1="{y}" y2="{y}" class="grid"/>'
            f'<text x="{left - 8}" y="{y + 4}" class="tick end">{value:.4f}</text>'
        )
    best: float | None = None
    steps: list[tuple[float, float]] = []
    for n, value, is_whole in sorted(points):
        x, y = place(n, value)
        fill = "var(--accent)" if is_whole else "none"
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="4" fill="{fill}" stroke="var(--accent)">'
            f"<title>{n}: {value:.4f}</title></circle>"
        )
        if is_whole and (best is None or value > best):
            steps += [] if best is None else [(x, place(n, best)[1])]
            best = value
            steps.append((x, y))
    if best is not None:
        steps.append(place(last, best))
        path = " ".join(f"{x},{y}" for x, y in steps)
        parts.append(f'<polyline points="{path}" class="line" opacity=".5"/>')
    parts.append(f'<text x="{left}" y="{bottom + 28}" class="tick">try 0</text>')
    parts.append(f'<text x="{width - 16}" y="{bottom + 28}" class="tick end">try {last}</text>')
    parts.append(f'<text x="4" y="12" class="tick">{escape(metric)}</text>')
    return _svg(width, height, f"{metric} by try", parts)


def standalone(svg: str) -> str:
    """A picture of this module as a file of its own, light or dark as its reader's system is."""
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        "</title>", f"</title><style>{STYLE}</style>", 1
    )


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'style="max-width:{width}px"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _ticks(most: float) -> list[float]:
    """Round values from 0 to `most`, four or so."""
    step = 10.0 ** floor(log10(most / 3))
    step *= next(m for m in (1, 2, 5, 10) if most / (m * step) <= 5)
    return [round(n * step, 10) for n in range(int(most / step) + 1)]


def _colour(role: str) -> str:
    return {"baseline": "muted", "bound": "second"}.get(role, "accent")
