"""A dataset's hash tells whether anything that can be learnt from has changed."""

from dataclasses import replace

import polars as pl

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.simulated import SimulatedConfig, simulate
from etalage.data.store import load, save


def shop() -> Dataset:
    return simulate(SimulatedConfig(users=20, items=12, days=10), seed=0)[0]


def test_the_hash_is_that_of_all_there_is_to_learn_from(tmp_path) -> None:
    data = shop()
    assert data.hash == shop().hash
    assert load(save(data, tmp_path / "shop")).hash == data.hash
    shown = data.impressions
    pieces = pl.concat([shown[:40], shown[40:]], rechunk=False)
    rounded = shown.with_columns(pl.col("true_probability") * (1 + 1e-12))
    for same in (pieces, rounded):  # however it lies in memory, whatever the last digits
        assert replace(data, impressions=same).hash == data.hash
    log = data.interactions
    other = Interactions(
        log.frame.with_columns(item=(pl.col("item") + 1) % 12), n_users=20, n_items=12
    )
    titles = data.item_table.with_columns(title=pl.lit("mug"))
    shown = shown.with_columns(clicked=1 - pl.col("clicked"))
    changed = [
        data.with_interactions(other),
        replace(data, item_table=titles),
        replace(data, impressions=shown),
        replace(data, item_table=None),
    ]
    assert len({data.hash, *(one.hash for one in changed)}) == 5


def test_a_matrix_counts_repeats_once_and_leaves_the_log_as_it_was() -> None:
    log = Interactions.from_arrays([0, 0, 0, 1], [1, 1, 2, 0], [1, 2, 3, 4], n_users=2, n_items=3)
    assert log.offsets.tolist() == [0, 3, 4]
    assert log.matrix().toarray().tolist() == [[0, 1, 1], [1, 0, 0]]
    assert log.offsets.tolist() == [0, 3, 4]
    assert log.items.tolist() == [1, 1, 2, 0]
