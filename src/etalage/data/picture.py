"""What does a log look like? Three small charts as one SVG, for a terminal's user or a report.

Colours are CSS variables of the page (`--ink`, `--muted`, `--accent`, `--rule`) with values to
fall back on that can be read on white and on black.
"""

from __future__ import annotations

from html import escape
from math import log10
from pathlib import Path

from etalage.artefact import whole_file
from etalage.data.describe import Description
from etalage.data.formats.times import utc

WIDTH, HEIGHT = 960, 230
PANEL, GAP = 296, 36
TOP, BOTTOM = 40, 186
INK = "var(--ink, #75808c)"
MUTED = "var(--muted, #808a95)"
ACCENT = "var(--accent, #3f87d6)"
RULE = "var(--rule, #808a9566)"


def picture(description: Description) -> str:
    """Draws interactions over time, popularity of items, and lengths of histories, as SVG text."""
    d = description
    what = f"{d.name}: {d.n_interactions:,} interactions over time, by item and by user"
    panels = [_events(d), _popularity(d), _histories(d)]
    drawn = "".join(
        f'<g transform="translate({i * (PANEL + GAP)} 0)">{panel}</g>'
        for i, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" '
        f'role="img" font-family="system-ui, sans-serif" font-size="11">'
        f"<title>{escape(what)}</title>{drawn}</svg>"
    )


def _events(d: Description) -> str:
    first, last = (utc(ms)[:10] if d.has_clock else f"{ms:,}" for ms in (d.first_ms, d.last_ms))
    labels = [(0.0, first, "start"), (1.0, last, "end")] if d.events else []
    title = "Interactions over time" if d.has_clock else "Interactions by place in the order"
    return _frame(title, max(d.events, default=0), labels) + _bars(d.events)


def _histories(d: Description) -> str:
    users = [n for _, n in d.histories]
    step = max(1, -(-len(users) // 8))  # at most eight labels
    labels = [
        (i / len(users), f"{length:,}", "start")  # at the left edge, where its bar begins
        for i, (length, _) in enumerate(d.histories)
        if i % step == 0
    ]
    return _frame("Users by length of history", max(users, default=0), labels) + _bars(users)


def _popularity(d: Description) -> str:
    """Rank against interactions, both axes logarithmic: a straight fall is a power law."""
    ranks = [rank for rank, _ in d.popularity] or [1]
    most = max((n for _, n in d.popularity), default=1)
    wide, high = log10(ranks[-1]) or 1, log10(most) or 1
    tens = [10**j for j in range(int(log10(ranks[-1])) + 1)]
    labels = [(log10(t) / wide, f"{t:,}", "start" if t == 1 else "middle") for t in tens]
    points = " ".join(
        f"{PANEL * log10(rank) / wide:.1f},{BOTTOM - (BOTTOM - TOP) * log10(n) / high:.1f}"
        for rank, n in d.popularity
    )
    # a single point has no line, so a dot marks the most popular item
    line = (
        f'<polyline points="{points}" fill="none" stroke="{ACCENT}" stroke-width="2" '
        f'stroke-linejoin="round"/><circle cx="0" cy="{TOP}" r="3" fill="{ACCENT}"/>'
    )
    return _frame("Interactions by rank of item (log)", most, labels) + (line if points else "")


def _frame(title: str, most: int, labels: list[tuple[float, str, str]]) -> str:
    """Returns the title, the top and bottom rule, the top value and the labels below."""
    parts = [f'<text y="14" font-size="13" font-weight="600" fill="{INK}">{escape(title)}</text>']
    parts += [
        f'<line x1="0" y1="{y}" x2="{PANEL}" y2="{y}" stroke="{RULE}"/>' for y in (TOP, BOTTOM)
    ]
    parts += [f'<text x="{PANEL}" y="{TOP - 5}" text-anchor="end" fill="{MUTED}">{most:,}</text>']
    parts += [
        f'<text x="{PANEL * x:.1f}" y="{BOTTOM + 16}" text-anchor="{anchor}" '
        f'fill="{MUTED}">{escape(text)}</text>'
        for x, text, anchor in labels
    ]
    return "".join(parts)


def _bars(values: tuple[int, ...] | list[int]) -> str:
    if not values:
        return ""
    most, width = max(max(values), 1), PANEL / len(values)
    return "".join(
        f'<rect x="{i * width + 0.5:.1f}" y="{BOTTOM - (BOTTOM - TOP) * n / most:.1f}" '
        f'width="{max(width - 1, 0.5):.1f}" height="{(BOTTOM - TOP) * n / most:.1f}" '
        f'fill="{ACCENT}"><title>{n:,}</title></rect>'
        for i, n in enumerate(values)
        if n
    )


def write(svg: str, path: Path) -> None:
    """Writes a picture to a file, at once or not at all.

    Raises:
        CapacityError: when the disk is full or refuses.
    """
    with whole_file(path) as draft:
        draft.write_text(svg, encoding="utf-8")
