"""How good is the order? Full-catalogue ranking of a model, exact and in bounded memory.

Letters: Q queries, B queries of a batch, N items, k places, T targets in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from etalage.data.ragged import ItemSets
from etalage.data.split import Queries
from etalage.errors import DataError
from etalage.evaluate.exposure import Exposure
from etalage.evaluate.metrics import PerQuery, check_cutoffs, evaluate_lists, expected_metrics
from etalage.models.recommender import Recommender, best

__all__ = ["RankingReport", "evaluate_lists", "evaluate_recommender", "places"]

OUT_OF_REACH = 2**31
"""Items above a target that is never shown; beyond every cut-off, those past the catalogue too."""
SCORES_AT_ONCE = 2**25
"""Most scores held at a time: 128 MB of float32, whatever the catalogue."""


@dataclass(frozen=True)
class RankingReport:
    """Metrics of one model: one value a query, and what follows from them."""

    per_query: PerQuery
    """'ndcg@10' and so on -> float64 (Q,), over the queries that have targets.

    Definitions are those of `etalage.evaluate.metrics`.
    """
    exposure: dict[str, float] = field(default_factory=dict)
    """'coverage@10', 'gini@10' and, with training counts, 'novelty@10', over all lists."""
    n_without_truth: int = 0
    """Queries without a target; they are in no mean."""
    n_without_items: int = 0
    """Queries that got an empty list; they count as misses."""
    tie_rate: float = 0.0
    """Share of targets that could stand in a list and share their score with another item; 0 where
    lists were given."""
    cold_target_rate: float | None = None
    """Share of targets that training never saw; None without training counts."""

    @property
    def metrics(self) -> dict[str, float]:
        """Means over queries, and the exposure; NaN when there are no queries."""
        means = {
            name: float(values.mean()) if len(values) else float("nan")
            for name, values in self.per_query.items()
        }
        return means | self.exposure

    @property
    def n_queries(self) -> int:
        """Queries that were judged."""
        return len(next(iter(self.per_query.values())))


def evaluate_recommender(
    model: Recommender,
    queries: Queries,
    *,
    ks: Sequence[int] = (5, 10, 20),
    exclude_seen: bool = True,
    batch_size: int = 128,
    training_popularity: NDArray[np.integer] | None = None,
    progress: bool = False,
) -> RankingReport:
    """Ranks every item for every query, in memory bounded by one batch.

    Places are counted, never sorted, and ties are worth their expectation over random order.
    A model whose `scores_all_items` is False is judged by the lists that it recommends.

    Args:
        model: fitted.
        queries: questions with known answers; those without are counted and left out.
        ks: cut-offs.
        exclude_seen: never show what a person did before; a target among it is then a miss.
        batch_size: most queries at a time; fewer are taken where the catalogue is large.
        training_popularity: training interactions of each item, (N,), for novelty and cold rate.
        progress: show a progress bar on a terminal.

    NaN scores (the model cannot say) rank last, equal among themselves, and are never in a list.

    Raises:
        DataError: for an infinite score, or when every score of every query is NaN: a diverged
            model must not get a number.
    """
    check_cutoffs(ks)
    asked = len(queries)
    queries = queries.take(np.flatnonzero(queries.targets().sizes))
    # people with histories of like length together, so that little of a batch is padding
    order = np.argsort(queries.ends - queries.starts, kind="stable")
    queries = queries.take(order)
    parts: list[PerQuery] = [_no_queries(ks)]
    exposure = Exposure(queries.n_items, ks, training_popularity)
    n_tied = n_targets = n_cold = n_empty = n_silent = 0
    for part in _batches(queries, batch_size, progress):
        targets = part.targets()
        seen = part.seen() if exclude_seen else None
        if model.scores_all_items:
            scores = np.require(model.score_queries(part), requirements=["C", "W"])  # (B, N)
            if scores.shape != (len(part), queries.n_items):
                raise DataError(
                    f"{type(model).__name__} gave scores of shape {scores.shape}; expected "
                    f"{(len(part), queries.n_items)}: fit it on the catalogue of the queries"
                )
            n_silent += _settle(scores, type(model).__name__)
            hide(scores, seen)
            top = best(scores, max(ks))
            # most targets stand in no list, and where they stand then changes no measure
            above, equal = places(scores, targets, floors=top.scores[:, -1])
            n_tied += int((equal > 1).sum())
            lists = top.items
            parts.append(expected_metrics(above, equal, targets, ks))
        else:
            histories = part.histories(model.history_length)
            lists = model.recommend(histories, max(ks), exclude=seen).items
            parts.append(evaluate_lists(lists, targets, ks))
        exposure.add(lists)
        n_empty += int((lists < 0).all(1).sum())
        n_targets += len(targets.items)
        if training_popularity is not None:
            n_cold += int((training_popularity[targets.items] == 0).sum())
    if n_silent and n_silent == len(queries):
        raise DataError(
            f"{type(model).__name__} gave NaN for every item of every query; it has diverged "
            "or was fitted on other data"
        )
    place = np.argsort(order)  # back to the order of the questions
    return RankingReport(
        {name: np.concatenate([part[name] for part in parts])[place] for name in parts[0]},
        exposure.metrics(),
        n_without_truth=asked - len(queries),
        n_without_items=n_empty,
        tie_rate=n_tied / max(n_targets, 1),
        cold_target_rate=None if training_popularity is None else n_cold / max(n_targets, 1),
    )


def _batches(queries: Queries, batch_size: int, progress: bool) -> Iterator[Queries]:
    """Cuts queries so that the scores of a part fit in memory."""
    size = max(1, min(batch_size, SCORES_AT_ONCE // max(queries.n_items, 1)))
    starts: Iterator[int] | range = range(0, len(queries), size)
    if progress:
        from rich.progress import track

        starts = iter(track(starts, description="evaluate", transient=True))
    for start in starts:
        yield queries.take(slice(start, start + size))


def _no_queries(ks: Sequence[int]) -> PerQuery:
    none = np.zeros(0, dtype=np.int64)
    return expected_metrics(none, none, ItemSets.from_rows([]), ks)


def _settle(scores: NDArray[np.float32], name: str) -> int:
    """Turns NaN into -inf in place; returns how many rows were NaN throughout."""
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = ~np.isfinite(scores.sum(1))  # (B,) one pass clears a sound batch
    if not suspect.any():
        return 0
    if np.isinf(scores).any():
        raise DataError(
            f"{name} gave an infinite score; it has diverged, so its ranking means nothing: "
            "lower its learning rate and fit again"
        )
    unknown = np.isnan(scores)
    np.copyto(scores, -np.inf, where=unknown)
    return int(unknown.all(1).sum())


def hide(scores: NDArray[np.float32], seen: ItemSets | None) -> None:
    """Takes seen items out of the list altogether: they become NaN, which is above nothing."""
    if seen is not None:
        scores[seen.row_of_entry, seen.items] = np.nan


def places(
    scores: NDArray[np.float32], targets: ItemSets, *, floors: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts items above and equal to each target, int64 (T,) twice.

    `scores`, (B, N), may hold NaN for items that are never shown; a target among them gets more
    items above it than any list has places. So do targets below the floor of their row, (B,),
    where one is given: the last score of its list.
    """
    rows = targets.row_of_entry
    if len(targets.items) and not 0 <= targets.items.min() <= targets.items.max() < scores.shape[1]:
        raise DataError(f"targets must be item indices from 0 to {scores.shape[1] - 1}")
    values = scores[rows, targets.items]  # (T,)
    above = np.full(len(values), OUT_OF_REACH, dtype=np.int64)
    equal = np.ones(len(values), dtype=np.int64)
    in_reach = ~np.isnan(values) if floors is None else values >= floors[rows]
    # row by row: a row stays in the cache for both counts, which beats whole-batch comparisons
    for entry in np.flatnonzero(in_reach).tolist():
        line, value = scores[rows[entry]], values[entry]
        above[entry] = np.count_nonzero(line > value)
        equal[entry] = np.count_nonzero(line == value)
    return above, equal
