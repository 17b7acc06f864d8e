"""What would a shop look like if we knew why people click? A simulated shop with its truth.

People visit, are shown a few items, and click some of them. Every probability is known, so the
best possible ranking and the best possible click prediction are known too.

Letters: U users, N items, V visits, S slots of a visit, D taste dimensions, B visits of a batch.

With user u, item i, moment t, slot j and the last click l of the visitor:

    taste(u, i, t, l) = u·i + appeal_i + season(i, t) + follows(l, i)
    exposure e(i)     = softmax_i(focus · taste), each slot drawn on its own
    click logit       = base + taste + device + evening - decay · j

An item drawn twice in a visit is shown once, in its first slot, and one that the visitor has
clicked before is never shown again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.split import Queries
from etalage.ids import Vocabulary
from etalage.recipe.config import Config
from etalage.seeds import generator

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01 UTC
KINDS = {
    "Kitchen": ["teapot", "kettle", "pan", "cutting board", "mug", "carafe"],
    "Clothing": ["scarf", "jacket", "jumper", "shirt", "dress", "hat"],
    "Garden": ["planter", "watering can", "trowel", "bench", "lantern", "hose"],
    "Books": ["cookbook", "novel", "atlas", "field guide", "biography", "picture book"],
    "Sports": ["yoga mat", "racket", "helmet", "bottle", "rope", "ball"],
    "Toys": ["puzzle", "train set", "kite", "doll", "board game", "building blocks"],
    "Office": ["notebook", "desk lamp", "pen", "organiser", "chair", "calendar"],
    "Beauty": ["soap", "hand cream", "perfume", "brush", "mirror", "bath salt"],
    "Outdoors": ["tent", "backpack", "headlamp", "stove", "sleeping bag", "map case"],
    "Music": ["ukulele", "headphones", "record", "speaker", "metronome", "drum"],
}
COLOURS = ["red", "blue", "green", "black", "white", "ochre", "teal", "rose"]
MATERIALS = ["wool", "linen", "oak", "steel", "glass", "cotton", "leather", "clay"]
BRANDS = ["Alder", "Birk", "Corvo", "Dune", "Elva", "Fjell", "Grove", "Hale", "Ilex", "Juno"]


class SimulatedConfig(Config):
    """Size and character of the simulated shop."""

    users: int = Field(4000, ge=2)
    """People."""
    items: int = Field(1500, ge=12)
    """Things for sale."""
    visits: float = Field(12.0, gt=0)
    """Mean visits of a person; activity is skewed."""
    slots: int = Field(8, ge=1)
    """Items shown in a visit."""
    days: int = Field(180, ge=2)
    """Length of the log."""
    focus: float = Field(1.5, ge=0)
    """How much the shop already shows what people like; 0 shows items at random."""
    base: float = -7.0
    """Logit of a click on an item of no particular appeal, in the first slot."""
    decay: float = Field(0.15, ge=0)
    """Loss in logit from a slot to the next."""


@dataclass(frozen=True)
class Truth:
    """Everything behind the clicks."""

    config: SimulatedConfig
    tastes: NDArray[np.float32]  # (U, D)
    items: NDArray[np.float32]  # (N, D)
    appeal: NDArray[np.float32]  # (N,)
    kind_of: NDArray[np.int32]  # (N,) category of each item
    peaks: NDArray[np.float32]  # (categories,) day of the year of the high season
    follows: NDArray[np.float32]  # (categories + 1, categories); the last row: no click before
    visit_users: NDArray[np.int32]  # (V,) by time
    visit_times: NDArray[np.int64]  # (V,)
    context: NDArray[np.float32]  # (V,) logit of device and hour

    @cached_property
    def _visits(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys of all visits in increasing order, and the visit of each."""
        keys = _key(self.visit_users, self.visit_times)
        order = np.argsort(keys)
        return keys[order], order

    def taste(
        self, users: NDArray[np.int32], times: NDArray[np.int64], last: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Utility of all items, float32 (B, N); `last` is the last clicked item, -1 for none."""
        days = (times - START_MS) / DAY_MS
        season = 0.7 * np.cos(2 * np.pi * (days[:, None] - self.peaks) / 365)  # (B, categories)
        of_kind = season + self.follows[np.where(last >= 0, self.kind_of[last], -1)]
        taste = self.tastes[users] @ self.items.T + self.appeal  # (B, N)
        taste += of_kind.astype(np.float32)[:, self.kind_of]
        return taste

    def expected_clicks(self, queries: Queries) -> NDArray[np.float32]:
        """Expected clicks on each item in the visit asked about, float32 (Q, N): exact.

        An item stands in slot j when it was not drawn before and is drawn there, so the
        expectation is Σ_j (1 - e)^j e σ(logit_j). Ordering by it is the best there is.
        """
        last = queries.histories(1).items[:, 0]
        taste = self.taste(queries.users, queries.times, last)
        seen = queries.seen()
        exposure = _softmax(self.config.focus * taste, seen.row_of_entry, seen.items)
        known, order = self._visits
        context = self.context[order[np.searchsorted(known, _key(queries.users, queries.times))]]
        logits = self.config.base + taste + context[:, None]
        clicks = np.zeros_like(logits)
        missed = np.ones_like(logits)
        for place in range(self.config.slots):
            clicks += missed * exposure * _sigmoid(logits - self.config.decay * place)
            missed *= 1 - exposure
        return clicks


def simulate(config: SimulatedConfig | None = None, *, seed: int = 0) -> tuple[Dataset, Truth]:
    """Builds the shop, lets people visit it, and returns the log with the truth behind it.

    `dataset.impressions` has user, item, time, clicked, slot, device, hour and
    `true_probability` (never a feature); `dataset.interactions` are the clicks. The same seed
    gives the same bytes.
    """
    config = config or SimulatedConfig()
    truth, table, visits = _build(config, seed)
    rng = generator(seed, "simulated", "clicks")
    seen = np.zeros((config.users, config.items), dtype=bool)
    last = np.full(config.users, -1, dtype=np.int32)
    shown = []
    for rows in _rounds(truth.visit_users):
        users, times = truth.visit_users[rows], truth.visit_times[rows]
        taste = truth.taste(users, times, last[users])
        exposure = _softmax(config.focus * taste, *np.nonzero(seen[users]))
        drawn = np.cumsum(exposure, axis=1, dtype=np.float64)  # (B, N)
        picks = np.empty((len(rows), config.slots), dtype=np.int32)
        for pick, line, dice in zip(picks, drawn, rng.random(picks.shape), strict=True):
            pick[:] = np.searchsorted(line, dice * line[-1], side="right")
        np.minimum(picks, config.items - 1, out=picks)
        slot = np.arange(config.slots)
        logits = config.base + np.take_along_axis(taste, picks, 1) - config.decay * slot
        probability = _sigmoid(logits + truth.context[rows, None])
        clicked = rng.random(picks.shape) < probability
        is_repeat = ((picks[:, :, None] == picks[:, None, :]) & (slot < slot[:, None])).any(2)
        # who has clicked everything is drawn an item of exposure 0, which is not shown
        is_shown = ~is_repeat & (np.take_along_axis(exposure, picks, 1) > 0)
        row, place = np.nonzero(is_shown)
        shown.append(
            (rows[row], picks[row, place], place, clicked[row, place], probability[row, place])
        )
        row, place = np.nonzero(is_shown & clicked)
        seen[users[row], picks[row, place]] = True
        last[users[row]] = picks[row, place]  # row-major order: the last slot clicked stays
    visit, item, slots, clicks, true = (np.concatenate(parts) for parts in zip(*shown, strict=True))
    impressions = (
        visits[visit]
        .with_columns(
            item=pl.Series(item),
            slot=pl.Series(slots.astype(np.int32)),
            clicked=pl.Series(clicks.astype(np.int8)),
            true_probability=pl.Series(true.astype(np.float64)),
        )
        .sort("time", "user", "slot")
    )
    log = impressions.filter(pl.col("clicked") == 1)
    interactions = Interactions.from_arrays(
        log["user"], log["item"], log["time"], n_users=config.users, n_items=config.items
    )
    dataset = Dataset(
        "simulated shop",
        interactions,
        Vocabulary([f"visitor-{u:05d}" for u in range(config.users)]),
        Vocabulary([f"item-{i:05d}" for i in range(config.items)]),
        item_table=table,
        impressions=impressions,
        manifest={"source": f"simulated, seed {seed}", "terms": "free of any terms"},
    )
    return dataset, truth


def _build(config: SimulatedConfig, seed: int) -> tuple[Truth, pl.DataFrame, pl.DataFrame]:
    """Draws items, people and the moments of their visits."""
    rng = generator(seed, "simulated", "shop")
    dims = 12

    def vectors(n: int, scale: float) -> NDArray[np.float32]:
        return rng.normal(0, scale / np.sqrt(dims), (n, dims)).astype(np.float32)

    names = list(KINDS)
    kind = rng.integers(0, len(names), config.items).astype(np.int32)
    noun = rng.integers(0, 6, config.items)
    colour, material = rng.integers(0, 8, config.items), rng.integers(0, 8, config.items)
    brand = rng.integers(0, len(BRANDS), config.items)
    of_noun = vectors(6 * len(names), 2.0)[kind * 6 + noun]
    items = vectors(len(names), 3.0)[kind] + of_noun + vectors(8, 1.0)[colour]
    items += vectors(8, 1.0)[material] + vectors(config.items, 0.7)
    table = pl.DataFrame(
        {
            "item": [f"item-{i:05d}" for i in range(config.items)],
            "title": [
                f"{BRANDS[b]} {COLOURS[c]} {MATERIALS[m]} {KINDS[names[k]][n]}"
                for b, c, m, k, n in zip(brand, colour, material, kind, noun, strict=True)
            ],
            "category": [names[k] for k in kind],
            "colour": [COLOURS[c] for c in colour],
            "material": [MATERIALS[m] for m in material],
            "brand": [BRANDS[b] for b in brand],
        }
    )
    # a person likes what resembles two items of their own
    models = items[rng.integers(0, config.items, (config.users, 2))].mean(1)
    tastes = models / np.linalg.norm(models, axis=1, keepdims=True) * 1.6 + vectors(
        config.users, 0.4
    )
    n_visits = np.maximum(rng.negative_binomial(1.5, 1.5 / (1.5 + config.visits), config.users), 2)
    users = np.repeat(np.arange(config.users, dtype=np.int32), n_visits)
    arrival = rng.uniform(0, 0.8, config.users)[users]  # people arrive over time
    moment = arrival + (1 - arrival) * rng.random(len(users))
    times = START_MS + (moment * config.days * DAY_MS).astype(np.int64)
    order = np.lexsort((users, times))
    users, times = users[order], times[order]
    is_phone = rng.random(len(users)) < 0.6
    hour = (times // 3_600_000 % 24).astype(np.int32)
    context = np.where(is_phone, -0.3, 0.2) + np.where((hour >= 18) & (hour < 23), 0.3, 0.0)
    follows = np.vstack([rng.normal(0, 0.8, (len(names), len(names))), np.zeros(len(names))])
    truth = Truth(
        config,
        tastes.astype(np.float32),
        items.astype(np.float32),
        rng.normal(0, 0.7, config.items).astype(np.float32),
        kind,
        rng.uniform(0, 365, len(names)).astype(np.float32),
        follows.astype(np.float32),
        users,
        times,
        context.astype(np.float32),
    )
    device = pl.Series(np.where(is_phone, "phone", "desktop").tolist())
    return (
        truth,
        table,
        pl.DataFrame({"user": users, "time": times, "device": device, "hour": hour}),
    )


def _rounds(users: NDArray[np.int32], most: int = 512) -> Iterator[NDArray[np.int64]]:
    """Visits that may be simulated together: the first of everyone, then the second, ..."""
    order = np.argsort(users, kind="stable")
    starts = np.searchsorted(users[order], users[order])
    number = np.empty(len(users), dtype=np.int64)
    number[order] = np.arange(len(users)) - starts
    for n in range(int(number.max()) + 1):
        rows = np.flatnonzero(number == n)
        for start in range(0, len(rows), most):
            yield rows[start : start + most]


def _key(users: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for a user and a moment; 2^42 ms are 139 years."""
    return users.astype(np.int64) << 42 | (times - START_MS)


def _softmax(
    scores: NDArray[np.float32], rows: NDArray[np.int64], hidden: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Row softmax of (B, N) where entries (rows, hidden) get 0; all 0 where all are hidden."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    powers[rows, hidden] = 0
    total = powers.sum(1, keepdims=True)
    return powers / np.where(total > 0, total, 1)


def _sigmoid(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    return 1 / (1 + np.exp(-logits))
