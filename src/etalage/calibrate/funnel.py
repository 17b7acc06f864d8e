"""Which values of a field are off by more than chance? All of them in a funnel plot, as SVG.

A dot a value: predicted over observed clicks against expected clicks. The fewer are expected the
more the ratio differs by chance alone, so the lines between which it lies with 95 % make a funnel
(Spiegelhalter, 2005).

Letters: V values of a field; value v has S_p(v) expected and S_y(v) observed clicks, and
V_v = Σ p (1 - p).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

import numpy as np
from numpy.typing import NDArray

from etalage.calibrate.calibrator import Floats
from etalage.calibrate.drawing import ACCENT, INK, MUTED, RULE, Axis, Panel, points, text, tick
from etalage.calibrate.field_measures import ValueSums, poisson
from etalage.calibrate.measures import TINY

WIDTH, HEIGHT = 460, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 444, 66, 290
NEVER = 52
"""Where values stand that had no click."""
Z = 1.959964  # 97.5 % of the normal
GRID = np.geomspace(1e-4, 400, 1000)
"""Expected clicks at which the chance to lie outside is computed."""
CELL = 4
"""Dots nearer than so many pixels become one."""
WIDEST, NARROWEST = 10.0, 2.0
"""Ratio at which the axis ends at the most, and at the least."""
MOST_SCALE = 100.0
"""Rare clicks that one which is nearly sure stands for; more would stretch the axis for all."""
MOUTH = 0.1
"""Expected clicks at which the axis begins at the least."""


@dataclass(frozen=True)
class Spread:
    """Values of a field as a funnel plot has them, (V,).

    Where clicks are not rare they differ by less than Poisson's: both numbers are times
    S_p / V_v, which leaves their ratio and makes their variance that of as many rare clicks.
    """

    sums: ValueSums
    expected: Floats
    observed: Floats

    @classmethod
    def of(cls, sums: ValueSums) -> Spread:
        """From sums over the rows of each value, of which none is without rows."""
        promised = np.maximum(sums.promised, TINY)
        scale = np.minimum(promised / np.maximum(sums.noise, TINY * promised), MOST_SCALE)
        return cls(sums, promised * scale, sums.clicked * scale)

    @property
    def ratio(self) -> Floats:
        """Predicted over observed clicks; infinite where there are none."""
        with np.errstate(divide="ignore"):
            return self.expected / self.observed

    @property
    def is_off(self) -> NDArray[np.bool_]:
        """Whether chance alone would put it so far out in fewer than 5 % of the cases."""
        low, high = limits(self.observed)
        return (self.expected < low) | (self.expected > high)


def limits(observed: Floats) -> tuple[Floats, Floats]:
    """Least and largest expected clicks of which `observed` clicks are a likely outcome, 95 %: the
    exact interval of a Poisson mean, in Byar's approximation.

    >>> [x.round(2).tolist() for x in limits(np.array([0.0, 10.0]))]
    [[0.0, 4.79], [3.67, 18.39]]
    """
    below, above = np.maximum(observed, TINY), observed + 1
    low = below * np.maximum(1 - 1 / (9 * below) - Z / (3 * np.sqrt(below)), 0) ** 3
    high = above * (1 - 1 / (9 * above) + Z / (3 * np.sqrt(above))) ** 3
    return np.where(observed > 0, low, 0.0), high


def chance_to_be_off(expected: Floats) -> Floats:
    """Of a value whose probabilities are right, (V,): below 5 %, clicks being whole."""
    return np.interp(np.log(expected), np.log(GRID), _off_on_grid())


@cache
def _off_on_grid() -> Floats:
    mean, y = GRID[:, None], np.arange(2.0 * GRID[-1])
    low, high = limits(y)
    found: Floats = (poisson(GRID, len(y)) * ((mean < low) | (mean > high))).sum(1)
    return found


def funnels(before: ValueSums, after: ValueSums, names: Sequence[str]) -> list[Panel]:
    """Funnel plots before and after calibration, on the same axes; `names` are those of values."""
    both = [Spread.of(before), Spread.of(after)]
    x, y = _axes(both)
    return [
        _funnel(spread, names, x, y, title)
        for spread, title in zip(both, ("before", "after"), strict=True)
    ]


def _axes(spreads: Sequence[Spread]) -> tuple[Axis, Axis]:
    expected = np.concatenate([s.expected for s in spreads])
    ratios = np.concatenate([s.ratio for s in spreads])
    least = max(float(expected.min()), MOUTH)
    told = np.abs(np.log(ratios[np.isfinite(ratios) & (expected > 1)]))
    widest = float(np.exp(np.quantile(told, 0.99))) if len(told) else NARROWEST
    widest = min(max(1.1 * widest, NARROWEST), WIDEST)
    x = Axis(min(least, 1.0), max(1.3 * float(expected.max()), 10.0), "log")
    return x, Axis(1 / widest, widest, "log")


def _funnel(spread: Spread, names: Sequence[str], x: Axis, y: Axis, title: str) -> Panel:
    by_chance = float(chance_to_be_off(spread.expected).sum())
    said = (
        f"{int(spread.is_off.sum()):,} of {len(names):,} values lie outside, "
        f"{by_chance:,.0f} would by chance"
    )
    body = (
        text(LEFT, 14, title, size=13, is_bold=True)
        + text(LEFT, 30, said, fill=MUTED)
        + _grid(x, y)
        + _dots(spread, names, x, y)
        + _lines(x, y)
        + text(LEFT, BOTTOM + 34, "predicted / observed clicks ↑", fill=MUTED)
        + text(RIGHT, BOTTOM + 34, "expected clicks of a value →", fill=MUTED, anchor="end")
    )
    return Panel(WIDTH, HEIGHT, f"Predicted over observed clicks by value, {title}: {said}", body)


def _across(x: Axis, values: Floats) -> Floats:
    return LEFT + (RIGHT - LEFT) * x.shares(values)


def _up(y: Axis, values: Floats) -> Floats:
    return BOTTOM - (BOTTOM - TOP) * y.shares(values)


def _grid(x: Axis, y: Axis) -> str:
    parts = []
    ratios, numbers = np.array(y.ticks(0.12)), np.array(x.ticks(0.12))
    for ratio, at in zip(ratios.tolist(), _up(y, ratios).round(1).tolist(), strict=True):
        colour = INK if ratio == 1 else RULE
        parts.append(
            f'<line x1="{LEFT}" y1="{at}" x2="{RIGHT}" y2="{at}" stroke="{colour}"/>'
            + text(LEFT - 6, at + 4, f"{ratio:g}", fill=MUTED, anchor="end")
        )
    for n, at in zip(numbers.tolist(), _across(x, numbers).round(1).tolist(), strict=True):
        parts.append(tick(at, BOTTOM + 16, f"{n:,g}", RIGHT))
    return "".join(parts)


def _lines(x: Axis, y: Axis) -> str:
    """The funnel: limits of whole and broken numbers of clicks."""
    clicks = np.geomspace(1e-3, 1.5 * x.most, 300)
    parts = []
    for expected in limits(clicks):
        ratio = expected / clicks
        inside = (expected >= x.least) & (expected <= x.most)
        inside &= (ratio >= y.least) & (ratio <= y.most)
        line = list(zip(_across(x, expected[inside]), _up(y, ratio[inside]), strict=True))
        parts.append(
            f'<polyline points="{points(line)}" fill="none" stroke="{INK}" '
            f'stroke-dasharray="4 3" stroke-width="1.5"/>'
        )
    return "".join(parts)


def _dots(spread: Spread, names: Sequence[str], x: Axis, y: Axis) -> str:
    """A dot a value, those that lie outside in another colour and on top; near ones are merged, so
    that a million values are no larger a picture than a thousand."""
    is_off, is_never = spread.is_off, ~np.isfinite(spread.ratio)
    across = _across(x, spread.expected)
    up = np.where(is_never, NEVER, _up(y, spread.ratio))
    cells = (is_off * WIDTH + across // CELL) * HEIGHT + up // CELL
    _, first, counts = np.unique(cells, return_index=True, return_counts=True)
    parts = []
    if is_never.any():
        parts.append(text(LEFT - 9, NEVER + 4, "no click", fill=MUTED, anchor="end"))
    for at, n in zip(first.tolist(), counts.tolist(), strict=True):
        colour, opacity = (ACCENT, 0.8) if is_off[at] else (MUTED, 0.45)
        radius = min(2 + 0.4 * np.log2(n), 5)
        parts.append(
            f'<circle cx="{across[at]:.1f}" cy="{up[at]:.1f}" r="{radius:.1f}" fill="{colour}" '
            f'opacity="{opacity}"><title>{_told(spread.sums, names, at, n)}</title></circle>'
        )
    return "".join(parts)


def _told(sums: ValueSums, names: Sequence[str], at: int, n: int) -> str:
    others = f" and {n - 1:,} more near it" if n > 1 else ""
    return escape(
        f"{names[at]}: {sums.promised[at]:,.1f} clicks expected, {sums.clicked[at]:,.0f} observed, "
        f"{sums.rows[at]:,.0f} impressions{others}"
    )
