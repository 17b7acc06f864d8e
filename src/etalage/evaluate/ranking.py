"""How good is the order? Exact full-ranking metrics, with ties settled by expectation.

Letters: Q queries, N items, k places, R targets of a query, T targets in all, G tie blocks.

Definitions, for a list of k and R targets; "of" means the expected value over all orders of items
with equal scores, so a constant scorer gets exactly what random order deserves:

- hit_rate@k: at least one target in the list (1 or 0).
- recall@k: targets in the list / R.
- precision@k: targets in the list / k.
- ndcg@k: Σ 1/log2(rank + 1) over targets in the list / the same sum for an ideal list, whose
  targets fill the first min(k, R) places.
- mrr@k: 1 / rank of the first target; 0 when it is not in the list.
- map@k: Σ precision at the rank of each target in the list / min(k, R).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.data.ragged import ItemSets
from etalage.data.split import Queries
from etalage.errors import DataError
from etalage.models.recommender import Recommender

METRICS = ("hit_rate", "recall", "precision", "ndcg", "mrr", "map")


@dataclass(frozen=True)
class RankingReport:
    """Metrics of one model: one value a query, and their means."""

    per_query: dict[str, NDArray[np.float64]]
    """Metric name, such as 'ndcg@10' -> float64 (Q,)."""
    tie_rate: float
    """Share of targets that share their score with another item."""

    @property
    def metrics(self) -> dict[str, float]:
        """Means over queries; NaN when there are no queries."""
        return {
            name: float(values.mean()) if len(values) else float("nan")
            for name, values in self.per_query.items()
        }

    @property
    def n_queries(self) -> int:
        return len(next(iter(self.per_query.values())))


def evaluate_recommender(
    model: Recommender,
    queries: Queries,
    *,
    ks: Sequence[int] = (5, 10, 20),
    exclude_seen: bool = True,
    batch_size: int = 1024,
) -> RankingReport:
    """Ranks every item for every query, in memory bounded by one batch.

    With `exclude_seen`, what a person did before is never shown; a target among it is a miss.
    NaN scores (the model cannot say) rank last, equal among themselves.

    Raises:
        DataError: for an infinite score, since a diverged model must not get a number.
    """
    ks = checked_cutoffs(ks)
    targets = queries.targets()
    above = np.empty(len(targets.items), dtype=np.int64)  # (T,) items ranked before
    equal = np.empty(len(targets.items), dtype=np.int64)  # (T,) items with the same score
    for start in range(0, len(queries), batch_size):
        rows = slice(start, min(start + batch_size, len(queries)))
        part = queries.take(rows)
        scores = model.score(part.histories(model.history_length))  # (B, N)
        if np.isinf(scores).any():
            raise DataError(
                f"{type(model).__name__} gave an infinite score; it has diverged, "
                "so its ranking means nothing: lower its learning rate and fit again"
            )
        np.copyto(scores, -np.inf, where=np.isnan(scores))
        entries = slice(targets.offsets[rows.start], targets.offsets[rows.stop])
        seen = part.seen() if exclude_seen else None
        above[entries], equal[entries] = places(scores, part.targets(), seen)
    return report(above, equal, targets, ks)


def places(
    scores: NDArray[np.float32], targets: ItemSets, seen: ItemSets | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts items above and equal to each target, int64 (T,) twice; overwrites `scores`.

    Seen items are taken out of the list altogether; a seen target gets N items above it.
    """
    n_items = scores.shape[1]
    rows = targets.row_of_entry
    values = scores[rows, targets.items]  # (T,)
    masked = np.zeros(len(values), dtype=bool)
    if seen is not None:
        # NaN compares false with everything, so a seen item is neither above nor equal
        scores[seen.row_of_entry, seen.items] = np.nan
        masked = np.isnan(scores[rows, targets.items])
    above = np.empty(len(values), dtype=np.int64)
    equal = np.empty(len(values), dtype=np.int64)
    slot_of_entry = np.arange(len(values)) - targets.offsets[:-1][rows]
    for slot in range(int(targets.sizes.max(initial=0))):
        here = np.flatnonzero(slot_of_entry == slot)
        # the common case, every row once, is a view and not a copy
        part = scores if len(here) == len(scores) else scores[rows[here]]
        value = values[here, None]
        above[here] = np.count_nonzero(part > value, axis=1)
        equal[here] = np.count_nonzero(part == value, axis=1)
    above[masked], equal[masked] = n_items, 1
    return above, equal


def report(
    above: NDArray[np.int64], equal: NDArray[np.int64], targets: ItemSets, ks: Sequence[int]
) -> RankingReport:
    """Turns places of targets into metrics by the exact expectation over tie orders.

    A block is the m targets of one query that share a score with e items in all, after g better
    ones. At place p of the block (rank g + p) a target stands with probability m / e; given that,
    (p - 1)(m - 1)/(e - 1) more are expected before it; and no target is among the first p with
    probability Π_{q<p} (e - m - q)/(e - q).
    """
    deepest = max(ks)
    rows = targets.row_of_entry
    n_targets = targets.sizes  # (Q,)
    blocks, inverse = np.unique(np.stack([rows, above]), axis=1, return_inverse=True)
    row, g = blocks  # (G,)
    m = np.bincount(inverse, minlength=len(row))  # (G,)
    e = np.zeros(len(row), dtype=np.int64)
    e[inverse] = equal
    rank = np.arange(1, deepest + 1)  # (k,)
    p = rank - g[:, None]  # (G, k) place within the block
    inside = (p >= 1) & (p <= e[:, None])
    chance = np.where(inside, (m / e)[:, None], 0.0)  # (G, k) a target stands here
    is_first = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else np.zeros(0, bool)
    before = np.cumsum(m) - m
    before -= np.maximum.accumulate(np.where(is_first, before, 0))  # targets in better blocks
    expected = before[:, None] + 1 + (p - 1) * ((m - 1) / np.maximum(e - 1, 1))[:, None]
    q = np.where(inside, p - 1, 0)  # (G, k)
    step = np.where(inside, np.maximum((e - m)[:, None] - q, 0) / (e[:, None] - q), 1.0)
    alive = np.cumprod(step, axis=1)  # (G, k) no target of the block up to this rank
    first = np.concatenate([np.ones((len(row), 1)), alive[:, :-1]], axis=1) - alive

    def total(values: NDArray[Any], which: NDArray[np.bool_] | None = None) -> NDArray[Any]:
        chosen = slice(None) if which is None else which
        return np.bincount(row[chosen], values[chosen], minlength=len(targets))

    discount = 1 / np.log2(rank + 1)
    has_targets = np.maximum(n_targets, 1)
    per_query: dict[str, NDArray[np.float64]] = {}
    for k in ks:
        found = total(chance[:, :k].sum(1))
        ideal = np.cumsum(discount)[np.minimum(has_targets, k) - 1]
        per_query[f"hit_rate@{k}"] = total(1 - alive[:, k - 1], is_first)
        per_query[f"recall@{k}"] = found / has_targets
        per_query[f"precision@{k}"] = found / k
        per_query[f"ndcg@{k}"] = total((chance * discount)[:, :k].sum(1)) / ideal
        per_query[f"mrr@{k}"] = total((first / rank)[:, :k].sum(1), is_first)
        per_query[f"map@{k}"] = total((chance * expected / rank)[:, :k].sum(1)) / np.minimum(
            has_targets, k
        )
    return RankingReport(per_query, float((equal > 1).mean()) if len(equal) else 0.0)


def evaluate_lists(
    lists: NDArray[np.int32], targets: ItemSets, k: int
) -> dict[str, NDArray[np.float64]]:
    """Metrics of given lists, int32 (Q, >= k) with -1 for empty places; float64 (Q,) each."""
    checked_cutoffs([k])
    if len(lists) != len(targets) or lists.shape[1] < k:
        raise DataError(f"lists have shape {lists.shape}; expected ({len(targets)}, {k} or more)")
    lists = np.ascontiguousarray(lists[:, :k])
    rows = targets.row_of_entry
    slot_of_entry = np.arange(len(rows)) - targets.offsets[:-1][rows]
    hits = np.zeros(lists.shape, dtype=bool)  # (Q, k)
    for slot in range(int(targets.sizes.max(initial=0))):
        here = slot_of_entry == slot
        if here.all():
            hits |= lists == targets.items[here, None]
        else:
            hits[rows[here]] |= lists[rows[here]] == targets.items[here, None]
    rank = np.arange(1, k + 1)
    discount = 1 / np.log2(rank + 1)
    has_targets = np.maximum(targets.sizes, 1)
    query, place = np.nonzero(hits)  # (H,) hits are few, so the rest runs on them alone
    n_hits = np.bincount(query, minlength=len(lists))
    first_hit = np.cumsum(n_hits) - n_hits
    order = np.arange(len(query)) - first_hit[query] + 1  # this is the order-th hit of its list
    is_first = order == 1

    def total(values: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(query, values, minlength=len(lists))

    return {
        f"hit_rate@{k}": (n_hits > 0).astype(np.float64),
        f"recall@{k}": n_hits / has_targets,
        f"precision@{k}": n_hits / k,
        f"ndcg@{k}": total(discount[place]) / np.cumsum(discount)[np.minimum(has_targets, k) - 1],
        f"mrr@{k}": total(is_first / rank[place]),
        f"map@{k}": total(order / rank[place]) / np.minimum(has_targets, k),
    }


def checked_cutoffs(ks: Sequence[int]) -> Sequence[int]:
    """Returns `ks`, or raises DataError when one is not a positive number."""
    if not ks or min(ks) < 1:
        raise DataError(f"cut-offs must be 1 or more; got {list(ks)}")
    return ks
