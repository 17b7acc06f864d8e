"""Impressions for a ranker: nothing of the future in a history, no misses that were hits."""

import numpy as np
import polars as pl
import pytest
from tests.conftest import SMALL

from etalage.data.describe import describe
from etalage.data.ingest import open_dataset
from etalage.data.interactions import Interactions
from etalage.data.split import global_time
from etalage.errors import DataError
from etalage.pipeline.clicks import ClickLog, Impressions, click_log, ranking_features
from etalage.pipeline.shop import Shop, open_shop, spell_items
from etalage.recipe.recipe import resolve

PARTS = ("train", "stop", "calibrate", "test")


@pytest.fixture(scope="module")
def simulated() -> tuple[Shop, ClickLog]:
    recipe = resolve(SMALL)
    shop = open_shop(recipe)
    features = ranking_features(shop, spell_items(shop, recipe).vectors, recipe.ranking)
    return shop, click_log(shop, features, recipe.ranking, seed=0)


@pytest.fixture(scope="module")
def drawn() -> tuple[Shop, ClickLog]:
    """A log with ties and without impressions."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 40, 2000),
            "item": rng.integers(0, 90, 2000),
            "time": 1_700_000_000 + 3600 * rng.integers(0, 300, 2000),
        }
    )
    data = open_dataset(frame)
    shop = Shop(data, global_time(data.interactions), describe(data), None)
    recipe = resolve(SMALL)
    features = ranking_features(shop, np.zeros((data.n_items, 4), np.float32), recipe.ranking)
    return shop, click_log(shop, features, recipe.ranking, seed=0)


def histories(rows: Impressions) -> list[list[int]]:
    return [rows.flat[s:e].tolist() for s, e in zip(rows.starts, rows.ends, strict=True)]


def test_every_impression_lands_in_one_part_in_order_of_time(simulated) -> None:
    shop, log = simulated
    assert sum(len(getattr(log, part)) for part in PARTS) == len(shop.data.impressions)
    assert not log.is_drawn
    clicked = shop.data.impressions["clicked"].to_numpy()
    found = np.concatenate([getattr(log, part).clicks for part in PARTS])
    assert found.tolist() == clicked.tolist()
    n_test = (shop.data.impressions["time"] >= shop.split.test_ms).sum()
    assert len(log.test) == n_test


def test_histories_are_what_was_clicked_strictly_before(simulated) -> None:
    shop, log = simulated
    rows, frame = log.test, shop.data.impressions.filter(pl.col("time") >= shop.split.test_ms)
    times = frame["time"].to_numpy()
    clicks = shop.data.interactions
    found = histories(rows)
    for row in range(0, len(rows), 37):
        user = rows.users[row]
        earlier = (clicks.users == user) & (clicks.times < times[row])
        assert found[rows.visits[row]] == clicks.items[earlier].tolist()


def test_the_truth_is_never_a_feature(simulated) -> None:
    shop, _ = simulated
    recipe = resolve(SMALL)
    features = ranking_features(shop, np.zeros((120, 4), np.float32), recipe.ranking)
    assert set(features.contexts) == {"device", "hour", "slot"}
    assert features.defaults == {"slot": "0"}


def test_drawn_misses_are_not_known_to_be_taken(drawn) -> None:
    shop, log = drawn
    split = shop.split
    assert log.is_drawn
    known = {"train": split.train, "stop": shop.data.interactions.before(split.test_ms)}
    known |= {"calibrate": known["stop"], "test": shop.data.interactions}
    for part in PARTS:
        rows, past = getattr(log, part), known[part]
        taken = set(zip(past.users.tolist(), past.items.tolist(), strict=True))
        for user, item, click in zip(
            rows.users.tolist(), rows.items.tolist(), rows.clicks.tolist(), strict=True
        ):
            assert ((user, item) in taken) == bool(click)
        assert rows.clicks.mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("parts", "cut"), [(("train",), "cut_ms"), (PARTS[:3], "test_ms")])
def test_no_ones_future_decides_what_a_miss_is(drawn, parts: tuple[str, ...], cut: str) -> None:
    """Other items are taken from the cut on: rows that may not know of it stay as they are."""
    shop, log = drawn
    data, moment = shop.data, getattr(shop.split, cut)
    frame = data.interactions.frame.with_columns(
        item=pl.when(pl.col("time") >= moment)
        .then((pl.col("item") + 7) % data.n_items)
        .otherwise(pl.col("item"))
    )
    other = Interactions(frame, n_users=data.n_users, n_items=data.n_items)
    moved = Shop(data.with_interactions(other), global_time(other), shop.description, None)
    recipe = resolve(SMALL)
    vectors = np.zeros((data.n_items, 4), np.float32)
    features = ranking_features(moved, vectors, recipe.ranking)
    again = click_log(moved, features, recipe.ranking, seed=0)
    for part in parts:
        for column in ("items", "clicks", "users", "visits"):
            before, after = (getattr(getattr(x, part), column) for x in (log, again))
            assert before.tolist() == after.tolist()
        assert histories(getattr(log, part)) == histories(getattr(again, part))
    assert again.test.items.tolist() != log.test.items.tolist()


def test_training_rows_come_from_training_alone(drawn) -> None:
    shop, log = drawn
    assert log.train.flat is shop.split.train.items
    # every moment of training after a person's first is asked about, each item of it once
    train = shop.split.train.frame.unique(["user", "item", "time"])
    first = train.group_by("user").agg(pl.col("time").min().alias("first"))
    later = train.join(first, on="user").filter(pl.col("time") > pl.col("first"))
    assert log.train.clicks.sum() == len(later)


def test_the_cap_on_rows_keeps_the_newest(drawn) -> None:
    shop, whole = drawn
    recipe = resolve(SMALL | {"ranking": {"max_rows": 1000}})
    features = ranking_features(shop, np.zeros((shop.data.n_items, 4), np.float32), recipe.ranking)
    few = click_log(shop, features, recipe.ranking, seed=0)
    assert 800 <= len(few.train) <= 1000 < len(whole.train)


def test_parts_of_visits_are_the_whole(simulated) -> None:
    _, log = simulated
    rows = log.train
    cut = len(rows.starts) // 3
    one, two = rows.of_visits(0, cut), rows.of_visits(cut, len(rows.starts))
    assert np.concatenate([one.items, two.items]).tolist() == rows.items.tolist()
    assert histories(one) + histories(two) == histories(rows)


def test_impressions_out_of_order_are_refused(simulated) -> None:
    from dataclasses import replace

    shop, _ = simulated
    mixed = replace(shop, data=replace(shop.data, impressions=shop.data.impressions[::-1]))
    recipe = resolve(SMALL)
    features = ranking_features(shop, np.zeros((120, 4), np.float32), recipe.ranking)
    with pytest.raises(DataError, match="order of time"):
        click_log(mixed, features, recipe.ranking, seed=0)
