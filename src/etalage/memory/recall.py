"""Which memories answer a question? Words and vectors together, the newer before the older.

s = m / max m + w · c / max c, score = (s + b · max(0, s₁ - s, s₂ / 2 - s)) · (1 - r + r · 2^(-age /
half-life)) with m BM25, c cosine, s₁ and s₂ the best fit of those beside a memory and next but one
in the same conversation, and r the share of recency, over what was known and held at the time that
is asked of. Where neither a word nor the vector is near, nothing is: no memory is returned for want
of a better one.
Letters: N memories of the user.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etalage.memory.facts import outdated
from etalage.memory.index import NEVER, Index

CLOSENESS_WEIGHT = 0.3
"""w. Words tell more than vectors of any encoder measured here do (docs/systems/memsim.md)."""
NEAR = 0.35
"""Cosine from which on a memory without a word of the question is near it all the same."""
CONTEXT_WEIGHT, TOGETHER_MS = 0.5, 600_000
"""b: an answer repeats few words of what it answers, so what is said within ten minutes of what
fits better is lifted towards it, never above it; nothing is found by that alone."""
RECENCY, HALF_LIFE_MS = 0.1, 30 * 86_400_000
"""r: between two that fit alike, the newer; never a newer one that fits worse by more than that."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory that answers a question."""

    number: int
    text: str
    kind: str
    source: str
    said_at: int
    """Milliseconds UTC."""
    score: float
    words: float
    """BM25 of the words that it shares with the question."""
    closeness: float
    """Cosine of its vector to that of the question."""


@dataclass(frozen=True)
class Asked:
    """What is looked for, and as of when."""

    words: NDArray[np.void]
    vector: NDArray[np.float32]
    """Unit, float32 (D,)."""
    k: int
    as_of: int
    """Milliseconds UTC: what held then."""
    known_at: int
    """Milliseconds UTC: what had been written by then."""
    kinds: Collection[int] | None = None
    sources: Collection[int] | None = None


def visible(index: Index, asked: Asked) -> NDArray[np.bool_]:
    """Which memories may be looked at, bool (N,)."""
    _, kinds, sources, said, recorded, until = index.columns
    seen = (said <= asked.as_of) & (recorded <= asked.known_at) & (until > asked.as_of)
    for column, wanted in ((kinds, asked.kinds), (sources, asked.sources)):
        if wanted is not None:
            seen &= np.isin(column, list(wanted))
    if index.facts:
        if asked.known_at == NEVER:
            old = index.outdated(asked.as_of)
        else:
            known = set(index.numbers[recorded <= asked.known_at].tolist())
            old = outdated([f for f in index.facts if f.memory in known], asked.as_of)
        if old:
            seen &= ~np.isin(index.numbers, list(old))
    return seen


def best(index: Index, asked: Asked) -> list[tuple[int, int, int, int, float, float, float]]:
    """Returns number, kind, source, said_at, score, BM25 and cosine of the k best, best first;
    ties: the older first. The index is lent, and so locked."""
    if not len(index):
        return []
    words = index.match(asked.words)
    closeness = index.closeness(asked.vector)
    found = visible(index, asked) & ((words > 0) | (closeness >= NEAR))
    rows = np.flatnonzero(found)
    if not len(rows):
        return []
    words, closeness = words[rows], np.maximum(closeness[rows], 0)
    said = index.columns[3]
    fit = np.zeros(len(index))
    fit[rows] = _share(words) + CLOSENESS_WEIGHT * _share(closeness)
    score = _in_context(fit, said)[rows]
    age = np.maximum(asked.as_of - said[rows], 0)
    score *= 1 - RECENCY + RECENCY * np.exp2(-age / HALF_LIFE_MS)
    order = np.argsort(-score, kind="stable")[: asked.k]
    columns = index.columns[:4, rows[order]].T.tolist()
    parts = np.stack([score, words, closeness])[:, order].T.tolist()
    return [(*what, *how) for what, how in zip(columns, parts, strict=True)]


def _in_context(fit: NDArray[np.float64], said: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lifts each memory towards what was said right before and after it: float64 (N,)."""
    best = fit.copy()
    for apart in (1, 2):
        is_near = np.abs(said[apart:] - said[:-apart]) <= TOGETHER_MS
        best[apart:] = np.maximum(best[apart:], is_near * fit[:-apart] / apart)
        best[:-apart] = np.maximum(best[:-apart], is_near * fit[apart:] / apart)
    return fit + CONTEXT_WEIGHT * (best - fit)


def _share(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of the greatest, which is 1; all 0 where that is 0."""
    return values.astype(np.float64) / (float(values.max()) or 1.0)
