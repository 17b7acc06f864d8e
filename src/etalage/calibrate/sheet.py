"""Where are probabilities right, and where not? One file of pictures: all rows, and by field.

Nothing but text and SVG: no script, nothing fetched.

Letters: n rows, V values of a field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.calibrate.calibrator import Floats
from etalage.calibrate.drawing import MUTED, Panel, text
from etalage.calibrate.field_measures import ValueSums, value_sums
from etalage.calibrate.funnel import funnels
from etalage.calibrate.measures import TINY, checked_weighted, measures
from etalage.calibrate.picture import HEIGHT, WIDTH, axis_of, diagram, small_diagram
from etalage.calibrate.reliability import Bin, design_effect, reliability

MOST_VALUES = 8
"""Values of a field with diagrams of their own."""
MOST_BINS, FEW_BINS = 15, 8
"""Of all rows, and of those of a value."""
TOLD = 10
"""Σ p (1 - p), so many expected clicks where they are rare, below which a bin says too little."""
MISSING = "(none)"
TOLD_OF_ALL = {
    "log_loss": "Log-loss",
    "pcoc": "Predicted / observed clicks",
    "ece": "Calibration error",
    "ece_floor": "… by chance alone",
    "slope": "Slope (1 is right)",
}
COLUMNS = (300, 400)
"""Where the numbers of that table end."""
GAP, MARGIN, ACROSS = 16, 24, 944
STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #23272b; --muted: #6a737d; --rule: #dfe3e6;
  --accent: #1f6fc4; }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --ink: #e8eaec; --muted: #9aa3ad;
  --rule: #373c42; --accent: #6db1f2; } }
body { margin: 0 auto; max-width: 944px; padding: 24px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem;
  overflow-wrap: anywhere; } p { color: var(--muted); margin: 0 0 1rem; }
.panels { display: grid; gap: 16px; margin: 0; }
"""


class Field(NamedTuple):
    """A column whose values are looked at one by one."""

    codes: NDArray[Any]
    """Of the values, from 0, (n,)."""
    names: Sequence[str]
    """(V,); an empty one is that of rows without a value."""


class Section(NamedTuple):
    """Panels that belong together, what they show, and how to read them."""

    title: str
    notes: tuple[str, ...]
    panels: list[Panel]


@dataclass(frozen=True)
class Judged:
    """Rows with their probabilities before and after calibration, (n,) each."""

    before: Floats
    after: Floats
    clicks: Floats
    weights: Floats
    clusters: NDArray[Any] | None = None

    def curves(self, most_bins: int, rows: Any = slice(None)) -> tuple[list[Bin], list[Bin]]:
        """Bins before and after, as many as some of the rows have something to tell about, with
        bands that hold a whole curve."""
        w, y = self.weights[rows], self.clicks[rows]
        clusters = None if self.clusters is None else self.clusters[rows]

        def bins(p: Floats) -> list[Bin]:
            n_bins = int(np.clip(w @ (p * (1 - p)) / TOLD, 1, most_bins))
            level = 1 - 0.05 / n_bins
            return reliability(p, y, n_bins, weights=w, clusters=clusters, level=level)

        return bins(self.before[rows]), bins(self.after[rows])

    def sums(self, p: Floats, codes: NDArray[Any], n_values: int) -> ValueSums:
        """Sums by value, each of which has rows; noise is that of clusters where there are."""
        found = value_sums(p, self.clicks, self.weights, codes, n_values)
        if self.clusters is None:
            return found
        # about the value's own level: how wrong it is must not pass for noise
        level = found.clicked / np.maximum(found.promised, TINY)
        rates = p * level[codes]
        inside = np.minimum(rates, 1.0)
        noise = np.bincount(codes, self.weights * inside * (1 - inside), n_values).astype(
            np.float64
        )
        errors = self.clicks - rates
        effect = design_effect(self.clusters, codes, errors, self.weights, noise)
        return found._replace(noise=found.noise * effect)


def sections(
    before: ArrayLike,
    after: ArrayLike,
    clicks: ArrayLike,
    fields: Mapping[str, Field],
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> list[Section]:
    """What there is to see of probabilities before and after calibration, (n,): a diagram of all
    rows, and for each field those of its largest values and a funnel plot of all.

    `clusters`, (n,) codes, widen the bands of rows that depend on one another.
    """
    columns = [np.asarray(after, dtype=np.float64).ravel(), *(f.codes for f in fields.values())]
    if clusters is not None:
        columns.append(np.asarray(clusters).ravel())
    p, y, w, q, *codes = checked_weighted(before, clicks, weights, *columns)
    judged = Judged(p, q, y, w, codes.pop() if clusters is not None else None)
    notes = ["A band holds its whole curve with 95 %: where it leaves the diagonal, rates are off."]
    if clusters is not None:
        notes.append("Rows of a cluster tell less than others; bands are those of whole clusters.")
    panels = [diagram(*judged.curves(MOST_BINS)), _numbers(judged)]
    found = [Section("All rows", tuple(notes), panels)]
    for (name, field), values in zip(fields.items(), codes, strict=True):
        names = [words or MISSING for words in field.names]
        found += [*_largest(judged, name, values, names), _all(judged, name, values, names)]
    return found


def _numbers(judged: Judged) -> Panel:
    """Measures of all rows, as a table."""
    before, after = (
        measures(p, judged.clicks, weights=judged.weights) for p in (judged.before, judged.after)
    )
    parts = [
        text(x, 14, words, size=13, anchor="end", is_bold=True)
        for x, words in zip(COLUMNS, ("before", "after"), strict=True)
    ]
    for n, (name, words) in enumerate(TOLD_OF_ALL.items()):
        y = 44 + 26 * n
        parts.append(text(0, y, words, size=13))
        for x, found in zip(COLUMNS, (before, after), strict=True):
            cell = f"{found[name]:.4f}" if name in found else "–"
            parts.append(text(x, y, cell, size=13, anchor="end"))
    return Panel(WIDTH, HEIGHT, "Measures of all rows", "".join(parts))


def _largest(
    judged: Judged, field: str, codes: NDArray[Any], names: Sequence[str]
) -> list[Section]:
    """Diagrams of the values with most rows; none of those whose rows make no two bins."""
    n_values = len(names)
    sums = [
        value_sums(p, judged.clicks, judged.weights, codes, n_values)
        for p in (judged.before, judged.after)
    ]
    rows, told = sums[0].rows, np.minimum(sums[0].noise, sums[1].noise)
    order = np.argsort(-rows, kind="stable")[:MOST_VALUES]
    largest = [int(v) for v in order if told[v] >= 2 * TOLD]
    if not largest:
        return []
    curves = [judged.curves(FEW_BINS, np.flatnonzero(codes == v)) for v in largest]
    axis = axis_of([curve for both in curves for curve in both])
    panels = [small_diagram(*both, axis, names[v]) for v, both in zip(largest, curves, strict=True)]
    share = 100 * rows[largest].sum() / rows.sum()
    notes = (
        f"{len(panels)} of {int((rows > 0).sum()):,} values, with {share:.0f} % of the "
        "impressions. Observed against predicted click rates; before: dashed, after: solid.",
    )
    return [Section(f"Largest values of {field}", notes, panels)]


def _all(judged: Judged, field: str, codes: NDArray[Any], names: Sequence[str]) -> Section:
    """Funnel plots of every value, before and after."""
    held, places = np.unique(codes, return_inverse=True)
    before, after = (judged.sums(p, places, len(held)) for p in (judged.before, judged.after))
    rows = "Rows" if judged.clusters is None else "Clusters"
    notes = (
        f"A dot a value; the higher, the more was promised in vain. {rows} being independent, "
        "chance puts 95 % between the dashed lines.",
        "Coloured ones lie outside. Where clicks are not rare or rows depend on one another, the "
        "axis has as many rare clicks as tell as much.",
    )
    return Section(
        f"All values of {field}", notes, funnels(before, after, [names[v] for v in held])
    )


def as_html(title: str, parts: Sequence[Section]) -> str:
    """One page, light or dark, for screens of any width."""
    body = "".join(
        f"<section><h2>{escape(part.title)}</h2><p>{escape(' '.join(part.notes))}</p>"
        '<figure class="panels" style="grid-template-columns:repeat(auto-fill,minmax(min(100%,'
        f'{part.panels[0].width}px),1fr))">{"".join(panel.svg() for panel in part.panels)}'
        "</figure></section>"
        for part in parts
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def as_svg(title: str, parts: Sequence[Section]) -> str:
    """The same as one picture."""
    body, top = [text(MARGIN, MARGIN + 16, title, size=18, is_bold=True)], MARGIN + 40
    for part in parts:
        body.append(text(MARGIN, top + 16, part.title, size=15, is_bold=True))
        top += 24
        for note in part.notes:
            body.append(text(MARGIN, top + 12, note, fill=MUTED))
            top += 16
        top += GAP
        wide, high = part.panels[0].width, part.panels[0].height
        n_across = (ACROSS + GAP) // (wide + GAP)
        for n, panel in enumerate(part.panels):
            x, y = n % n_across * (wide + GAP), n // n_across * (high + GAP)
            place = f'x="{MARGIN + x}" y="{top + y}" width="{wide}" height="{high}"'
            body.append(panel.svg(place))
        top += -(-len(part.panels) // n_across) * (high + GAP) + GAP
    return Panel(ACROSS + 2 * MARGIN, top, title, "".join(body)).svg()
