"""The logs of published graph tables: Gowalla and Yelp2018 as LightGCN's authors cut them.

A file is a sparse matrix, users x items, of what trains or what tests. There is no time in them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, load_npz

from etalage.artefact import sha256_of
from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.split import Queries
from etalage.ids import Vocabulary

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "graph"


@dataclass(frozen=True)
class Benchmark:
    """What to learn from, and what is asked: all test items of each user at once."""

    data: Dataset
    queries: Queries
    data_hash: str


def published(name: str) -> Benchmark:
    """A benchmark as it was published; there is no validation part in it."""
    train, test = (csr_array(load_npz(DATA / f"{name}_{part}.npz")) for part in ("train", "test"))
    return asked_of(name, train, test, sha256_of(DATA / f"{name}_train.npz")[:16])


def for_choosing(name: str, share: float = 0.1, seed: int = 0) -> Benchmark:
    """The training part cut in two: what is chosen by the second has not seen the test."""
    whole = published(name)
    log, rng = whole.data.interactions, np.random.default_rng(seed)
    is_held = rng.random(len(log)) < share
    train, held = (log.rows(part).matrix() for part in (~is_held, is_held))
    return asked_of(name, train, held, whole.data_hash)


def asked_of(name: str, train: csr_array, test: csr_array, data_hash: str) -> Benchmark:
    """Lays what tests behind what trains, user by user, as queries are read."""
    n_users, n_items = train.shape
    n_seen, n_asked = np.diff(train.indptr), np.diff(test.indptr)
    starts = np.concatenate([[0], np.cumsum(n_seen + n_asked)])
    flat = np.empty(starts[-1], np.int32)
    for matrix, first in ((train, starts[:-1]), (test, starts[:-1] + n_seen)):
        sizes = np.diff(matrix.indptr)
        within = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], sizes)
        flat[np.repeat(first, sizes) + within] = matrix.indices
    users = np.flatnonzero(n_asked)
    queries = Queries(
        flat,
        users.astype(np.int32),
        starts[users],
        starts[users] + n_seen[users],
        starts[users + 1],
        np.zeros(len(users), np.int64),
        n_items,
    )
    log = Interactions.from_arrays(
        np.repeat(np.arange(n_users), n_seen), train.indices, n_users=n_users, n_items=n_items
    )
    data = Dataset(name, log, Vocabulary(range(n_users)), Vocabulary(range(n_items)))
    return Benchmark(data, queries, data_hash)
