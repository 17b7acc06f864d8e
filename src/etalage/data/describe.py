"""Can this log be trusted? What one should know of a log before believing any number made of it.

Letters: M interactions, U users, N items.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.formats.times import SMALLEST_CLOCK, utc
from etalage.data.impressions import telling
from etalage.data.interactions import Interactions

LATE = 0.1
"""Share of the log, its newest end, that counts as the future when cold items are counted."""
BINS = 40
DAY_MS = 86_400_000
CLOCK_MS = 1000 * SMALLEST_CLOCK


@dataclass(frozen=True)
class Description:
    """The health of a log. Shares lie in 0..1; None means that it cannot be told."""

    name: str
    n_users: int
    n_items: int
    n_interactions: int
    n_impressions: int
    """What was shown, clicked or not; 0 where the log does not say."""
    click_share: float | None
    """Share of the impressions that were clicked."""
    sparsity: float
    """Share of all pairs of a user and an item that never met."""
    has_clock: bool
    """False where times are places in an order, not moments."""
    first_ms: int
    last_ms: int
    median_history: float
    longest_history: int
    cold_items: float | None
    """Share of the newest tenth of the log on items that were never seen before it."""
    cold_users: float | None
    """Share of the newest tenth of the log by users who were never seen before it."""
    tied: float
    """Share of interactions that share their time with another of the same user."""
    repeated: float
    """Share of interactions of a user with an item they had met before."""
    n_duplicates: int
    """Rows that repeat another in user, item and time."""
    top_share: float
    """Share of all interactions that the most popular hundredth of the items receives."""
    n_half: int
    """The fewest items that receive half of all interactions."""
    problems: tuple[str, ...]
    """What is wrong with the log, in words; empty where nothing was found."""
    events: tuple[int, ...]
    """Interactions in equal stretches of time, from first to last."""
    popularity: tuple[tuple[int, int], ...]
    """Rank of an item and its interactions, at ranks spaced by ratio, most popular first."""
    histories: tuple[tuple[int, int], ...]
    """A length 2^j and the users with 2^j to 2^(j+1) - 1 interactions."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON-ready values."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Returns what a table shows: a name and a text for each fact."""
        when = (
            f"{utc(self.first_ms)[:10]} to {utc(self.last_ms)[:10]}"
            if self.has_clock
            else "order only, no clock"
        )
        shown = []
        if self.n_impressions:
            clicked = f"{_percent(self.click_share)} clicked"
            shown = [("impressions", f"{self.n_impressions:,}, {clicked}")]
        return [
            ("users", f"{self.n_users:,}"),
            ("items", f"{self.n_items:,}"),
            ("interactions", f"{self.n_interactions:,}"),
            *shown,
            ("sparsity", _percent(self.sparsity, 3)),
            ("time", when),
            ("history", f"median {self.median_history:g}, longest {self.longest_history:,}"),
            ("cold items, newest tenth", _percent(self.cold_items)),
            ("cold users, newest tenth", _percent(self.cold_users)),
            ("ties in time", _percent(self.tied)),
            ("repeated pairs", _percent(self.repeated)),
            ("duplicate rows", f"{self.n_duplicates:,}"),
            ("top 1 % of items", f"{_percent(self.top_share)} of interactions"),
            ("half of interactions", f"on {self.n_half:,} of {self.n_items:,} items"),
        ]


def describe(dataset: Dataset, *, now_ms: int | None = None) -> Description:
    """Measures a log; with `now_ms`, times after it are reported as lying in the future."""
    log, shown = dataset.interactions, dataset.impressions
    clicks = np.zeros(0) if shown is None else shown["clicked"].to_numpy()
    n = len(log)
    times = log.times
    lengths = np.diff(log.offsets)
    lengths = lengths[lengths > 0]
    counts = np.sort(log.popularity())[::-1]
    counts = counts[counts > 0]
    pairs = _n_distinct(log.users.astype(np.int64) * max(log.n_items, 1) + log.items)
    tied = _tied_rows(log)
    has_clock = bool(n) and int(times.max()) >= CLOCK_MS
    # places in an order of one's own say nothing about what came before in the shop
    cold_items, cold_users = _cold(log) if has_clock else (None, None)
    n_duplicates = _duplicates(log, tied)
    return Description(
        name=dataset.name,
        n_users=dataset.n_users,
        n_items=dataset.n_items,
        n_interactions=n,
        n_impressions=len(clicks),
        click_share=float(clicks.mean()) if len(clicks) else None,
        sparsity=1 - pairs / max(dataset.n_users * dataset.n_items, 1),
        has_clock=has_clock,
        first_ms=int(times.min()) if n else 0,
        last_ms=int(times.max()) if n else 0,
        median_history=float(np.median(lengths)) if n else 0.0,
        longest_history=int(lengths.max()) if n else 0,
        cold_items=cold_items,
        cold_users=cold_users,
        tied=float(tied.mean()) if n else 0.0,
        repeated=1 - pairs / n if n else 0.0,
        n_duplicates=n_duplicates,
        top_share=float(counts[: -(-len(counts) // 100)].sum() / n) if n else 0.0,
        n_half=int(np.searchsorted(np.cumsum(counts), n / 2) + 1) if n else 0,
        problems=tuple(_problems(dataset, has_clock, n_duplicates, now_ms)),
        events=tuple(np.histogram(times, bins=BINS)[0].tolist()) if n else (),
        popularity=_curve(counts),
        histories=_by_powers(lengths),
    )


def _problems(
    dataset: Dataset, has_clock: bool, n_duplicates: int, now_ms: int | None
) -> list[str]:
    log, times = dataset.interactions, dataset.interactions.times
    n = len(times)
    if not n:
        return ["the log is empty"]
    found = []
    if dataset.n_users == 1 or dataset.n_items == 1:
        what = "user" if dataset.n_users == 1 else "item"
        found.append(f"there is only one {what}; nothing can be recommended from that")
    if n > 1 and times.min() == times.max():
        found.append("all times are equal, so there is no order; a split by time is impossible")
    if negative := int((times < 0).sum()):
        found.append(f"{negative:,} times are negative")
    early = int(((times >= 0) & (times < CLOCK_MS)).sum())
    if has_clock and early:
        found.append(
            f"{_counted(early, 'time lies', 'times lie')} before 1973 beside later ones; another "
            "unit, or missing times written as 0"
        )
    if now_ms is not None and has_clock and (ahead := int((times > now_ms).sum())):
        late = _counted(ahead, "time lies", "times lie")
        found.append(f"{late} in the future; the latest is {utc(int(times.max()))}")
    if has_clock and times.min() < times.max() and (times % DAY_MS == 0).mean() > 0.99:
        found.append("times are days, so the order within a day is unknown")
    if n_duplicates:
        found.append(
            f"{_counted(n_duplicates, 'row repeats', 'rows repeat')} another in user, item and time"
        )
    if n and (np.diff(log.offsets)[np.unique(log.users)] < 2).mean() > 0.5:
        found.append(
            "most users have a single interaction, so there is nothing to learn order from"
        )
    if dataset.impressions is not None:
        found += [
            f"{name!r} tells what was clicked: all {told:,} impressions with some of its values "
            "were. If it is known only after a click, leave it out of the log"
            for name, told in telling(dataset.impressions)
        ]
    return found


def _tied_rows(log: Interactions) -> NDArray[np.bool_]:
    """Marks rows with the user and time of a neighbour, bool (M,); rows are sorted by both."""
    tied = np.zeros(len(log), dtype=bool)
    same = (log.users[1:] == log.users[:-1]) & (log.times[1:] == log.times[:-1])
    tied[1:] |= same
    tied[:-1] |= same
    return tied


def _duplicates(log: Interactions, tied: NDArray[np.bool_]) -> int:
    """Counts rows equal to an earlier one; only tied rows can be."""
    rows = log.frame.select("user", "time", "item").filter(tied)
    return len(rows) - rows.n_unique() if len(rows) else 0


def _cold(log: Interactions) -> tuple[float | None, float | None]:
    """Shares of the newest rows on items, and by users, that are first seen among them."""
    if not len(log):
        return None, None
    place = int(len(log) * (1 - LATE))
    cut = np.partition(log.times, place)[place]  # where `global_time` begins to test
    late = log.times >= cut
    if late.all():
        return None, None
    known_items = np.zeros(log.n_items, dtype=bool)
    known_users = np.zeros(log.n_users, dtype=bool)
    known_items[log.items[~late]] = True
    known_users[log.users[~late]] = True
    return (
        float(1 - known_items[log.items[late]].mean()),
        float(1 - known_users[log.users[late]].mean()),
    )


def _n_distinct(keys: NDArray[np.int64]) -> int:
    keys.sort()
    return int((keys[1:] != keys[:-1]).sum()) + 1 if len(keys) else 0


def _curve(counts: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Cuts the popularity of all items down to what a picture can show."""
    if not len(counts):
        return ()
    ranks = np.unique(np.geomspace(1, len(counts), 60).round().astype(np.int64))
    return tuple(zip(ranks.tolist(), counts[ranks - 1].tolist(), strict=True))


def _by_powers(lengths: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    if not len(lengths):
        return ()
    in_bin = np.bincount(np.frexp(lengths)[1] - 1)
    return tuple((2**j, int(users)) for j, users in enumerate(in_bin))


def _percent(share: float | None, digits: int = 1) -> str:
    return "cannot tell" if share is None else f"{100 * share:.{digits}f} %"


def _counted(n: int, one: str, many: str) -> str:
    """A number and its noun with its verb, where there may be one."""
    return f"{n:,} {one if n == 1 else many}"
