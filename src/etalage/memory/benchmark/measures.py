"""How good is what came back? Found evidence, right answers, and what must never happen.

One row a question; a table is means of rows by mechanism and kind. Letters: U users, Q questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.evaluate.significance import interval
from etalage.memory.trajectory import Question
from etalage.seeds import generator

KS = (5, 10)
"""Cut-offs of recall."""
CROSS = "cross_user"
"""Kind of questions whose answer only another user told: any answer is a leak."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question asked of one mechanism; None where a measure does not apply."""

    mechanism: str
    user: str
    question: str
    kind: str
    recall_5: float | None
    """Share of the evidence among the first five, of the alternative of which most is there."""
    recall_10: float | None
    all_5: bool | None
    """Whether all of one alternative is among the first five."""
    all_10: bool | None
    reciprocal_rank: float | None
    """Of the first message of any alternative; 0 where none came back."""
    is_right: bool | None
    """None where nobody could read what came back."""
    abstained: bool | None
    must_abstain: bool
    is_stale: bool | None
    """Whether what was right once, and is no more, was answered."""
    n_foreign: int
    """Messages of other users, or of nobody, that came back."""
    n_tokens: int
    """That a language model would read."""
    read_us: float
    """CPU microseconds."""

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold."""
        return asdict(self)


def recall(found: Sequence[str], evidence: Collection[Collection[str]], k: int) -> float | None:
    """Returns the share of the evidence among the first k, None where there is none to find.

    >>> recall(["a", "x", "b"], [{"a", "b"}, {"c", "d", "e"}], k=2)
    0.5
    """
    if not evidence:
        return None
    top = set(found[:k])
    return max(len(top.intersection(ids)) / len(ids) for ids in evidence)


def reciprocal_rank(found: Sequence[str], evidence: Collection[Collection[str]]) -> float | None:
    """Returns 1 over the place of the first message of any evidence, 0 where there is none.

    >>> reciprocal_rank(["x", "c"], [{"a", "b"}, {"c"}])
    0.5
    """
    if not evidence:
        return None
    wanted = set().union(*evidence)
    return next((1 / at for at, name in enumerate(found, 1) if name in wanted), 0.0)


def judged(question: Question, found: Sequence[str]) -> dict[str, Any]:
    """Returns the parts of a row that tell what was found."""
    parts: dict[str, Any] = {}
    for k in KS:
        share = recall(found, question.evidence, k)
        parts |= {f"recall_{k}": share, f"all_{k}": None if share is None else share == 1}
    return parts | {"reciprocal_rank": reciprocal_rank(found, question.evidence)}


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over questions, with its 95 % interval over users."""

    value: float
    low: float | None
    """None where there is one user: how users differ is unknown."""
    high: float | None
    n: int
    """Questions that it is of."""


def mean(rows: Sequence[Row], value: Callable[[Row], float | None], seed: int = 0) -> Mean | None:
    """Returns the mean of a measure over the questions that it applies to; None where there are
    none.

    Users are resampled, not questions: those of one user share what they are about. The mean is a
    ratio of sums over users, whose linear part z_u = m + (Σx_u - m n_u) U / Q is what is resampled.
    """
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for row in rows:
        if (x := value(row)) is not None:
            sums[row.user][0] += float(x)
            sums[row.user][1] += 1
    if not sums:
        return None
    total, count = np.array(list(sums.values()), np.float64).T  # (U,) each
    m = total.sum() / count.sum()
    z: NDArray[np.float64] = m + (total - m * count) * len(count) / count.sum()
    low, high = interval(z, generator(seed, "memory benchmark")) if len(z) > 1 else (None, None)
    return Mean(float(m), low, high, int(count.sum()))


MEASURES: Mapping[str, Callable[[Row], float | None]] = {
    "recall@5": lambda row: row.recall_5,
    "recall@10": lambda row: row.recall_10,
    "all@5": lambda row: row.all_5,
    "all@10": lambda row: row.all_10,
    "mrr": lambda row: row.reciprocal_rank,
    "accuracy": lambda row: row.is_right,
    "abstention precision": lambda row: row.must_abstain if row.abstained else None,
    "abstention recall": lambda row: row.abstained if row.must_abstain else None,
    "stale": lambda row: row.is_stale,
    "leak": lambda row: row.n_foreign > 0 or (row.kind == CROSS and row.abstained is False),
    "tokens": lambda row: row.n_tokens,
    "read µs": lambda row: row.read_us,
}
"""Every measure, by its name: what it is of a row, None where it does not apply."""


def summary(rows: Iterable[Row]) -> dict[str, dict[str, Mean]]:
    """Returns the means of every measure that applies, by kind and of all together ("all")."""
    by_kind: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_kind["all"].append(row)
        by_kind[row.kind].append(row)
    return {
        kind: {
            name: found
            for name, value in MEASURES.items()
            if (found := mean(some, value)) is not None
        }
        for kind, some in by_kind.items()
    }
