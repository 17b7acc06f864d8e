"""Small shops in which the best answer is known."""

from dataclasses import dataclass

import numpy as np

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets
from etalage.data.split import leave_one_out
from etalage.ids import Vocabulary

N_ITEMS = 30


@dataclass(frozen=True)
class Toy:
    """What to learn from, who asks, and what comes first for them."""

    data: Dataset
    histories: Histories
    exclude: ItemSets
    best: np.ndarray  # (B,)


def dataset(log: Interactions, name: str = "toy") -> Dataset:
    return Dataset(name, log, Vocabulary(range(log.n_users)), Vocabulary(range(log.n_items)))


def shop(seed: int = 0, n_users: int = 60, n_items: int = N_ITEMS) -> Dataset:
    """People who walk around a circle of items, starting anywhere: the next item is certain."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 12, n_users)
    starts = rng.integers(0, n_items, n_users)
    users = np.repeat(np.arange(n_users), lengths)
    steps = np.concatenate([np.arange(n) for n in lengths])
    items = (np.repeat(starts, lengths) + steps) % n_items
    log = Interactions.from_arrays(users, items, steps, n_users=n_users, n_items=n_items)
    return dataset(log, "circle")


def circle() -> Toy:
    """The last step of each walk is asked about."""
    data = shop(n_users=300)
    split = leave_one_out(data.interactions)
    return Toy(
        data.with_interactions(split.train),
        split.test.histories(12),
        split.test.seen(),
        split.test.targets().items,
    )


def checkerboard() -> Toy:
    """User u took every item of the parity of u, but not item u itself: that comes first."""
    rows = [[i for i in range(u % 2, N_ITEMS, 2) if i != u] for u in range(N_ITEMS)]
    users = [u for u, row in enumerate(rows) for _ in row]
    log = Interactions.from_arrays(users, [i for row in rows for i in row], n_items=N_ITEMS)
    seen = ItemSets.from_rows(rows)
    return Toy(dataset(log), Histories.from_rows(rows), seen, np.arange(N_ITEMS))


def stairs() -> Toy:
    """Item i was taken by N - i people; who has the first few wants the next."""
    items = np.concatenate([np.arange(n) for n in range(1, N_ITEMS + 1)])
    users = np.repeat(np.arange(N_ITEMS), np.arange(1, N_ITEMS + 1))
    log = Interactions.from_arrays(users, items, n_items=N_ITEMS)
    seen = [list(range(n)) for n in range(N_ITEMS)]
    histories = Histories.from_rows(seen)
    return Toy(dataset(log), histories, ItemSets.from_rows(seen), np.arange(N_ITEMS))
