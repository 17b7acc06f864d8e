"""How good is a place in a list? Ranking metrics, with ties settled by expectation.

Letters: Q queries, k places, R targets of a query, T targets in all, G tie blocks, H hits.

Definitions, for a list of k and R targets, all gains being 0 or 1:

- `hit_rate@k`: at least one target in the list (1 or 0).
- `recall@k`: targets in the list / R.
- `recall_capped@k`: targets in the list / min(k, R), so that a full list is worth 1.
- `precision@k`: targets in the list / k, also where the list is shorter.
- `ndcg@k`: Σ 1/log2(rank + 1) over targets in the list / the same sum for an ideal list, whose
  targets fill the first min(k, R) places.
- `mrr@k`: 1 / rank of the first target; 0 when it is not in the list.
- `map@k`: Σ precision at the rank of each target in the list / min(k, R).

Other libraries mean other things by the same names: `map` over R instead of min(k, R), and an
ideal of k targets whatever R is, are common. A query without targets gets 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.data.ragged import ItemSets
from etalage.errors import DataError

METRICS = ("hit_rate", "recall", "recall_capped", "precision", "ndcg", "mrr", "map")

PerQuery = dict[str, NDArray[np.float64]]


def expected_metrics(
    above: NDArray[np.int64], equal: NDArray[np.int64], targets: ItemSets, ks: Sequence[int]
) -> PerQuery:
    """Metrics from the place of each target, as exact means over all orders of equal scores.

    A constant scorer thus gets what random order deserves. A block is the m targets of one query
    that share a score with e items in all, after g better ones. At place p of the block (rank
    g + p) a target stands with probability m / e; given that, (p - 1)(m - 1)/(e - 1) more are
    expected before it; and no target is among the first p with probability
    Π_{q<p} (e - m - q)/(e - q).

    Args:
        above: items ranked before each target, int64 (T,).
        equal: items with the target's score, itself included, int64 (T,).
        targets: what those places belong to.
        ks: cut-offs.

    Returns:
        'ndcg@10' and so on -> float64 (Q,).
    """
    check_cutoffs(ks)
    row, g, e, m = _tie_blocks(above, equal, targets)
    rank = np.arange(1, max(ks) + 1)  # (k,)
    p = rank - g[:, None]  # (G, k) place within the block
    inside = (p >= 1) & (p <= e[:, None])
    chance = np.where(inside, (m / e)[:, None], 0.0)  # (G, k) a target stands here
    is_first = np.ones(len(row), dtype=bool)
    is_first[1:] = row[1:] != row[:-1]
    before = np.cumsum(m) - m
    before -= np.maximum.accumulate(np.where(is_first, before, 0))  # targets in better blocks
    found_so_far = before[:, None] + 1 + (p - 1) * ((m - 1) / np.maximum(e - 1, 1))[:, None]
    q = np.where(inside, p - 1, 0)  # (G, k)
    step = np.where(inside, np.maximum((e - m)[:, None] - q, 0) / (e[:, None] - q), 1.0)
    missed = np.cumprod(step, axis=1)  # (G, k) no target of the block up to this rank
    first = np.concatenate([np.ones((len(row), 1)), missed[:, :-1]], axis=1) - missed

    def total(values: NDArray[Any], which: NDArray[np.bool_] | slice = slice(None)) -> NDArray[Any]:
        return np.bincount(row[which], values[which], minlength=len(targets))

    per_query: PerQuery = {}
    for k in ks:
        per_query |= _scaled(
            k,
            targets.sizes,
            hit=total(1 - missed[:, k - 1], is_first),
            found=total(chance[:, :k].sum(1)),
            gain=total((chance / np.log2(rank + 1))[:, :k].sum(1)),
            first=total((first / rank)[:, :k].sum(1), is_first),
            precision=total((chance * found_so_far / rank)[:, :k].sum(1)),
        )
    return per_query


def _tie_blocks(
    above: NDArray[np.int64], equal: NDArray[np.int64], targets: ItemSets
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Groups targets of one query with one score: query, g, e and m of each block, int64 (G,)."""
    width = int(above.max(initial=0)) + 1
    keys, members = np.unique(targets.row_of_entry * width + above, return_inverse=True)
    sizes = np.zeros(len(keys), dtype=np.int64)
    sizes[members] = equal
    return keys // width, keys % width, sizes, np.bincount(members, minlength=len(keys))


def evaluate_lists(
    items: NDArray[np.integer], targets: ItemSets, ks: Sequence[int] = (5, 10, 20)
) -> PerQuery:
    """Metrics of given lists.

    Args:
        items: integers (Q, k), best first, -1 for empty places; an item counts once a list.
        targets: what each query wanted, every item at most once.
        ks: cut-offs, none larger than the lists are long.

    Returns:
        'ndcg@10' and so on -> float64 (Q,).

    >>> lists = np.array([[7, 3, 9]])
    >>> float(evaluate_lists(lists, ItemSets.from_rows([[9]]), [3])["ndcg@3"][0])
    0.5
    """
    check_cutoffs(ks)
    if items.ndim != 2 or len(items) != len(targets) or items.shape[1] < max(ks):
        raise DataError(
            f"lists have shape {items.shape}; expected ({len(targets)}, {max(ks)} or more)"
        )
    if targets.items.min(initial=0) < 0:
        raise DataError("targets must be item indices, 0 or more; -1 means no item")
    query, rank = _hits(items[:, : max(ks)], targets)  # (H,) twice
    n_hits = np.bincount(query, minlength=len(items))
    order = np.arange(len(query)) - (np.cumsum(n_hits) - n_hits)[query] + 1  # nth hit of its list
    gains, is_first = 1 / np.log2(rank + 1), order == 1
    per_query: PerQuery = {}
    for k in ks:
        inside = rank <= k
        where = query[inside]

        def total(
            values: NDArray[Any], where: NDArray[Any] = where, inside: NDArray[Any] = inside
        ) -> NDArray[Any]:
            return np.bincount(where, values[inside], minlength=len(items))

        found = np.bincount(where, minlength=len(items))
        per_query |= _scaled(
            k,
            targets.sizes,
            hit=(found > 0).astype(np.float64),
            found=found,
            gain=total(gains),
            first=total(is_first / rank),
            precision=total(order / rank),
        )
    return per_query


def _hits(
    items: NDArray[np.integer], targets: ItemSets
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Query and rank (from 1) of every target found in its list, by query, then rank."""
    sizes = targets.sizes
    # the queries with most targets first, so that slot s of the targets concerns a head of them
    by_size = np.argsort(-sizes, kind="stable")
    is_even = len(sizes) == 0 or sizes.min() == sizes.max()
    lists = np.ascontiguousarray(items if is_even else items[by_size])
    width = items.shape[1]
    found = []
    for slot in range(int(sizes.max(initial=0))):
        n_rows = int(np.searchsorted(-sizes[by_size], -slot, side="left"))
        head = by_size[:n_rows]
        wanted = targets.items[targets.offsets[head] + slot]
        row, place = np.divmod(np.flatnonzero(lists[:n_rows] == wanted[:, None]), width)
        once = np.ones(len(row), dtype=bool)
        once[1:] = row[1:] != row[:-1]  # an item listed twice counts where it stands first
        found.append(head[row[once]] * width + place[once])
    keys = np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    return keys // width, keys % width + 1


def _scaled(
    k: int,
    n_targets: NDArray[np.int64],
    *,
    hit: NDArray[Any],
    found: NDArray[Any],
    gain: NDArray[Any],
    first: NDArray[Any],
    precision: NDArray[Any],
) -> PerQuery:
    """Divides the sums of each query, (Q,), by what the definitions divide them by."""
    n_targets = np.maximum(n_targets, 1)
    reachable = np.minimum(n_targets, k)
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))  # (k,) gain of the first n places
    return {
        f"hit_rate@{k}": hit,
        f"recall@{k}": found / n_targets,
        f"recall_capped@{k}": found / reachable,
        f"precision@{k}": found / k,
        f"ndcg@{k}": gain / ideal[reachable - 1],
        f"mrr@{k}": first,
        f"map@{k}": precision / reachable,
    }


def check_cutoffs(ks: Sequence[int]) -> None:
    """Raises DataError when there is no cut-off, or one below 1."""
    if not len(ks) or min(ks) < 1:
        raise DataError(f"cut-offs must be 1 or more; got {list(ks)}")
