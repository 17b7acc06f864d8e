"""The k-core is a fixed point, and the largest one."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.kcore import core_rows, k_core
from etalage.errors import DataError
from etalage.ids import Vocabulary


def peel(pairs: list[tuple[int, int]], users: int, items: int) -> Counter:
    """Drops one event too few at a time, the definition itself."""
    left = list(pairs)
    while True:
        by_user, by_item = Counter(u for u, _ in left), Counter(i for _, i in left)
        bad = next((p for p in left if by_user[p[0]] < users or by_item[p[1]] < items), None)
        if bad is None:
            return Counter(left)
        left.remove(bad)


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=50),
    st.integers(1, 5),
    st.integers(1, 5),
)
@settings(max_examples=150, deadline=None)
def test_peeling_in_any_order_leaves_the_same(pairs: list, users: int, items: int) -> None:
    columns = [list(c) for c in zip(*pairs, strict=True)] or [[], []]
    log = Interactions.from_arrays(*columns, n_users=8, n_items=8)
    kept = log.rows(core_rows(log, users=users, items=items))
    assert Counter(zip(kept.users.tolist(), kept.items.tolist(), strict=True)) == peel(
        pairs, users, items
    )


def test_a_chain_falls_link_by_link() -> None:
    """User n shares an item with user n + 1 only: losing one end loses all."""
    n = 200
    users, items = np.repeat(np.arange(n), 2), np.arange(2 * n) // 2 + np.arange(2 * n) % 2
    log = Interactions.from_arrays(users, items, n_users=n, n_items=n + 1)
    assert core_rows(log, users=2, items=1).all()
    assert not core_rows(log, users=2, items=2).any()


def test_ids_and_tables_follow_those_who_remain() -> None:
    data = Dataset(
        "shop",
        Interactions.from_arrays([0, 1, 1, 2, 2], [1, 1, 2, 1, 2], n_users=3, n_items=3),
        Vocabulary(["ann", "bob", "cat"]),
        Vocabulary(["mug", "pot", "tea"]),
        item_table=pl.DataFrame({"item": ["mug", "pot", "tea"]}),
        impressions=pl.DataFrame({"user": [0, 2], "item": [1, 2], "clicked": [1, 0]}),
    )
    core = k_core(data, users=2, items=2)
    assert (core.users.ids, core.items.ids) == (["bob", "cat"], ["pot", "tea"])
    assert core.interactions.frame.select("user", "item").rows() == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert core.item_table is not None
    assert core.item_table["item"].to_list() == ["pot", "tea"]
    assert core.impressions is not None
    assert core.impressions.rows() == [(1, 1, 0)]
    assert core.manifest["k_core"] == {"users": 2, "items": 2}
    with pytest.raises(DataError, match=r"nothing of shop remains .*ask for fewer"):
        k_core(data, users=3, items=1)
