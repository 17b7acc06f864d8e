"""What does a ranker learn from? Impressions where the log has them, else drawn ones.

A log that says only what people took says nothing about what they saw and left. There, each item
taken stands beside `n_negatives` items drawn evenly from those that the person is not known to
have taken, and probabilities hold for that mixture, not for a shop window. Known is what the part
may know, for training rows the training log, so that no one's future decides what a miss is.

Letters: R rows, V visits, M interactions, K context fields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.features import FeatureTable
from etalage.data.interactions import Interactions
from etalage.data.negatives import NegativeSampler
from etalage.data.ragged import Histories, ItemSets, gather
from etalage.data.split import Queries
from etalage.errors import DataError
from etalage.pipeline.shop import Shop, item_names
from etalage.recipe.recipe import RankingRecipe
from etalage.seeds import generator
from etalage.serve.runtime.features import RankingFeatures

NO_CONTEXT = {"user", "item", "time", "clicked", "true_probability"}
MOST_VALUES = 1000
VISITS_AT_ONCE = 4096


@dataclass(frozen=True)
class Impressions:
    """Rows of a click log, each of a visit with a history."""

    flat: NDArray[np.int32]  # (M,) items of the log, by user and time
    starts: NDArray[np.int64]  # (V,) history of visit v is flat[starts[v]:ends[v]]
    ends: NDArray[np.int64]  # (V,)
    visits: NDArray[np.int64]  # (R,) visit of each row, in increasing order
    users: NDArray[np.int32]  # (R,)
    items: NDArray[np.int32]  # (R,)
    clicks: NDArray[np.int8]  # (R,)
    codes: NDArray[np.int32]  # (R, K)
    true_probability: NDArray[np.float64] | None = None  # (R,)

    def __len__(self) -> int:
        return len(self.items)

    def histories(self, length: int) -> Histories:
        """Newest items before each visit, (V, length)."""
        return Histories.from_slices(self.flat, self.starts, self.ends, length)

    def of_visits(self, first: int, last: int) -> Impressions:
        """Rows of the visits `first` to `last`, the last not included."""
        rows = slice(*np.searchsorted(self.visits, [first, last]))
        truth = self.true_probability
        return replace(
            self,
            starts=self.starts[first:last],
            ends=self.ends[first:last],
            visits=self.visits[rows] - first,
            users=self.users[rows],
            items=self.items[rows],
            clicks=self.clicks[rows],
            codes=self.codes[rows],
            true_probability=None if truth is None else truth[rows],
        )

    def parts(self) -> list[Impressions]:
        """Cuts the visits so that what is computed for each of them fits in memory."""
        n_visits = len(self.starts)
        starts = range(0, n_visits, VISITS_AT_ONCE)
        return [self.of_visits(s, min(s + VISITS_AT_ONCE, n_visits)) for s in starts]

    def table(self, features: RankingFeatures) -> FeatureTable:
        """What the ranker reads of these rows."""
        blocks = [
            features.table(
                part.histories(features.history_length).items, part.visits, part.items, part.codes
            )
            for part in self.parts()
        ]
        categories, numbers, histories = (np.concatenate(b) for b in zip(*blocks, strict=True))
        return FeatureTable(
            features.sizes,
            categories,
            features.numbers,
            numbers,
            clicks=self.clicks,
            history=histories[self.visits],
            groups=self.users,
        )


@dataclass(frozen=True)
class ClickLog:
    """Impressions cut in four, in this order of time where the log has a clock."""

    is_drawn: bool
    """True where what was not taken was drawn, not shown."""
    train: Impressions
    stop: Impressions
    """Decides how long to train."""
    calibrate: Impressions
    """Turns logits into probabilities."""
    test: Impressions


def ranking_features(
    shop: Shop, vectors: NDArray[np.float32], recipe: RankingRecipe
) -> RankingFeatures:
    """Learns the features' vocabularies from what training may know."""
    _, categories = item_names(shop.data)
    known = sorted({c for c in categories if c})
    code_of = {name: code for code, name in enumerate(known, 1)}
    contexts = _contexts(shop.data.impressions, shop.split.cut_ms)
    return RankingFeatures(
        popularity=shop.split.train.popularity(),
        category_of=np.array([code_of.get(c, 0) for c in categories], dtype=np.int32),
        n_categories=len(known),
        content=vectors if any(item_names(shop.data)[0]) else None,
        contexts=contexts,
        defaults={"slot": contexts["slot"][0]} if "slot" in contexts else {},
        history_length=recipe.history_length,
    )


def click_log(shop: Shop, features: RankingFeatures, recipe: RankingRecipe, seed: int) -> ClickLog:
    """Takes the log's own impressions, or draws them where it has none."""
    split = shop.split
    if shop.data.impressions is not None and split.cut_ms and split.test_ms:
        shown = _shown(shop.data, features)
        times = _times(shop.data.impressions)
        cut, test = np.searchsorted(times, [split.cut_ms, split.test_ms])
        middle = (cut + test) // 2  # by visits: they come in the order of time
        first = int(np.searchsorted(shown.visits, max(len(shown) - recipe.max_rows, 0)))
        parts = [(min(first, cut), cut), (cut, middle), (middle, test), (test, len(times))]
        return _checked(ClickLog(False, *(shown.of_visits(int(a), int(b)) for a, b in parts)))
    n, log = recipe.n_negatives, split.train
    train = _asked(log, recipe.max_rows // (1 + n))
    taken = gather(log.items, log.offsets[:-1], log.offsets[1:])
    drawn = [_drawn(train, taken, train.users, n, generator(seed, "impressions", "train"))]
    order = generator(seed, "impressions", "halves").permutation(len(split.valid))
    half = len(order) // 2
    later = {
        "stop": split.valid.take(order[:half]),
        "calibrate": split.valid.take(order[half:]),
        "test": split.test,
    }
    for name, asked in later.items():
        taken = gather(asked.flat, asked.starts, asked.stops)  # up to the moment asked about
        rng = generator(seed, "impressions", name)
        drawn.append(_drawn(asked, taken, np.arange(len(asked)), n, rng))
    return _checked(ClickLog(True, *drawn))


def _checked(log: ClickLog) -> ClickLog:
    """Raises DataError where a part has nothing to tell apart."""
    for name in ("train", "stop", "calibrate", "test"):
        found = np.unique(getattr(log, name).clicks)
        if len(found) < 2:
            raise DataError(
                f"the impressions to {name} with hold {'no rows' if not len(found) else 'one kind'}"
                "; clicks and misses are needed. Take a longer log"
            )
    return log


def _contexts(impressions: pl.DataFrame | None, cut_ms: int | None) -> dict[str, list[str]]:
    """Context fields and the values that training may know, in order."""
    if impressions is None or cut_ms is None:
        return {}
    known = impressions.filter(pl.col("time") < cut_ms)
    contexts = {}
    for column in known.drop(NO_CONTEXT, strict=False).get_columns():
        values = column.drop_nulls().unique().sort()
        if not column.dtype.is_float() and len(values) <= MOST_VALUES:
            contexts[column.name] = [str(v) for v in values.to_list()]
    return contexts


def _visit_starts(impressions: pl.DataFrame) -> NDArray[np.int64]:
    """First row of each visit: rows of one user at one time, which stand together."""
    users, times = impressions["user"].to_numpy(), impressions["time"].to_numpy()
    starts = np.ones(len(users), dtype=bool)
    starts[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
    return np.flatnonzero(starts)


def _times(impressions: pl.DataFrame) -> NDArray[np.int64]:
    """Time of each visit, in increasing order."""
    return impressions["time"].to_numpy()[_visit_starts(impressions)]


def _shown(data: Dataset, features: RankingFeatures) -> Impressions:
    """All impressions of a log that is sorted by time and user."""
    frame = data.impressions
    assert frame is not None
    if not frame["time"].is_sorted():
        raise DataError("impressions must be in the order of time; sort them by time and user")
    first = _visit_starts(frame)
    users, times = frame["user"].to_numpy(), frame["time"].to_numpy()
    log = data.interactions
    # a history ends before the first of the user's interactions that is not earlier
    moments = np.unique(log.times)
    known = log.users.astype(np.int64) * (len(moments) + 1) + np.searchsorted(moments, log.times)
    asked = users[first].astype(np.int64) * (len(moments) + 1)
    asked += np.searchsorted(moments, times[first])
    codes = [
        frame[name].cast(pl.String).replace_strict(values, range(1, len(values) + 1), default=0)
        for name, values in features.contexts.items()
    ]
    truth = frame["true_probability"].to_numpy() if "true_probability" in frame.columns else None
    return Impressions(
        log.items,
        log.offsets[users[first]],
        np.searchsorted(known, asked),
        np.repeat(np.arange(len(first)), np.diff(first, append=len(frame))),
        users,
        frame["item"].to_numpy(),
        frame["clicked"].to_numpy().astype(np.int8),
        np.column_stack([c.to_numpy() for c in codes]).astype(np.int32)
        if codes
        else np.zeros((len(frame), 0), np.int32),
        truth,
    )


def _asked(log: Interactions, most: int) -> Queries:
    """The newest moments of a log, `most` interactions at most, with what was strictly earlier."""
    users, times = log.users, log.times
    changes = np.ones(len(log), dtype=bool)
    changes[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
    run_start = np.maximum.accumulate(np.where(changes, np.arange(len(log)), 0))
    is_last = np.append(changes[1:], True)[: len(log)]  # of a run of equal user and time
    rows = np.flatnonzero(is_last & (run_start > log.offsets[users]))
    rows = rows[np.argsort(-times[rows], kind="stable")]
    n_before = np.cumsum(rows + 1 - run_start[rows])
    rows = np.sort(rows[: max(int(np.searchsorted(n_before, most, side="right")), 1)])
    return Queries(
        log.items,
        users[rows],
        log.offsets[users[rows]],
        run_start[rows],
        rows + 1,
        times[rows],
        log.n_items,
    )


def _drawn(
    queries: Queries,
    taken: ItemSets,
    owners: NDArray[np.integer],
    n: int,
    rng: np.random.Generator,
) -> Impressions:
    """Each target of a question beside n items that are not in its person's row of `taken`.

    `owners` says which row that is, (Q,).
    """
    targets = queries.targets()
    visits = targets.row_of_entry  # (T,)
    sampler = NegativeSampler(taken, queries.n_items)
    negatives = sampler.draw(owners[visits], n, rng)  # (T, n)
    items = np.column_stack([targets.items, negatives])  # (T, 1 + n)
    clicks = np.zeros(items.shape, np.int8)
    clicks[:, 0] = 1
    kept = items >= 0
    rows = np.broadcast_to(visits[:, None], items.shape)[kept]
    return Impressions(
        queries.flat,
        queries.starts,
        queries.ends,
        rows,
        queries.users[rows],
        items[kept],
        clicks[kept],
        np.zeros((len(rows), 0), np.int32),
    )
