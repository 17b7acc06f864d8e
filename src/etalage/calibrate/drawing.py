"""What are pictures of rates made of? Axes, straight and bent, and panels of SVG.

Colours are CSS variables of the page (`--ink`, `--muted`, `--accent`, `--rule`) with values to
fall back on that can be read on white and on black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Literal

import numpy as np

from etalage.calibrate.calibrator import Floats, log_odds

INK = "var(--ink, #75808c)"
MUTED = "var(--muted, #808a95)"
ACCENT = "var(--accent, #3f87d6)"
RULE = "var(--rule, #808a9566)"
CHAR = 0.64
"""Width of a letter over its height, of wide ones."""


@dataclass(frozen=True)
class Axis:
    """From `least` to `most`, along which equal steps of a scale are equally long.

    >>> Axis(0.001, 0.1, "log").share(0.01), Axis(0.0, 0.2).share(0.3)
    (0.5, 1.0)
    """

    least: float
    most: float
    scale: Literal["straight", "log", "log_odds"] = "straight"

    def share(self, value: float) -> float:
        """Where a value stands, from 0 to 1; what lies beyond the axis stands at its end."""
        return float(self.shares(np.array([value]))[0])

    def shares(self, values: Floats) -> Floats:
        """Where values (n,) stand."""
        start, end = self._bent(np.array([self.least, self.most]))
        return (self._bent(np.clip(values, self.least, self.most)) - start) / (end - start)

    def _bent(self, values: Floats) -> Floats:
        if self.scale == "straight":
            return values
        return log_odds(values) if self.scale == "log_odds" else np.log(values)

    def ticks(self, apart: float = 0.15) -> list[float]:
        """Round values, no two of them nearer than a share of the axis."""
        if self.scale == "straight":
            step = 10.0 ** floor(log10(apart * self.most))
            step *= next(m for m in (1, 2, 5, 10, 20) if m * step >= apart * self.most)
            return [round(n * step, 12) for n in range(int(self.most / step * (1 + 1e-9)) + 1)]
        kept: list[float] = []
        for value in self._round_values():
            if all(abs(self.share(value) - self.share(other)) >= apart for other in kept):
                kept.append(value)
        return sorted(kept)

    def _round_values(self) -> list[float]:
        """Those on a bent axis, rounder ones first."""
        decades = range(floor(log10(self.least)), floor(log10(self.most)) + 1)
        found = []
        for m in (1, 5, 2):
            values = [round(m * 10.0**e, 12) for e in decades]
            if self.scale == "log_odds":
                values = [v for v in values if v <= 0.5]
                values += [1 - v for v in values]
            found += [v for v in values if self.least <= v <= self.most]
        return found


@dataclass(frozen=True)
class Panel:
    """A picture of a size, and what a reader who cannot see it is told."""

    width: int
    height: int
    label: str
    body: str

    def svg(self, place: str = 'width="100%" role="img"') -> str:
        """SVG text; `place` are attributes of where it stands."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'{place} style="max-width:{self.width}px" font-family="system-ui, sans-serif" '
            f'font-size="11"><title>{escape(self.label)}</title>{self.body}</svg>'
        )


def text(
    x: float,
    y: float,
    words: str,
    *,
    fill: str = INK,
    anchor: Literal["start", "middle", "end"] = "start",
    size: int = 11,
    is_bold: bool = False,
) -> str:
    """A line of text, escaped."""
    weight = ' font-weight="600"' if is_bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}"{weight} '
        f'fill="{fill}">{escape(words)}</text>'
    )


def tick(at: float, y: float, words: str, end: float) -> str:
    """Words beneath a place on an axis that ends at `end`; they do not pass it by much."""
    is_last = at + CHAR * 11 * len(words) / 2 > end + 8
    return text(end + 8 if is_last else at, y, words, fill=MUTED,
                anchor="end" if is_last else "middle")  # fmt: skip


def shortened(words: str, width: float, size: int = 11) -> str:
    """As much as fits, and an ellipsis.

    >>> shortened("a name that is long", 60)
    'a name…'
    """
    n_letters = int(width / (CHAR * size))
    return words if len(words) <= n_letters else words[: n_letters - 1].rstrip() + "…"


def points(pairs: Sequence[tuple[float, float]]) -> str:
    """Coordinates as polygons and lines have them."""
    return " ".join(f"{round(x, 1):g},{round(y, 1):g}" for x, y in pairs)
