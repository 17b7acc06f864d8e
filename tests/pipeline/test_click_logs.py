"""A shop's own click log goes the whole way: imported, cut, learned from, calibrated, served."""

from pathlib import Path

import polars as pl
import pytest
from tests.conftest import SMALL

from etalage.data.dataset import Dataset
from etalage.data.simulated import SimulatedConfig, simulate
from etalage.pipeline.clicks import click_log, ranking_features
from etalage.pipeline.run import run
from etalage.pipeline.shop import open_shop, spell_items
from etalage.recipe.recipe import Recipe, resolve
from etalage.serve.runtime.engine import Engine

QUICK = {
    "retriever": "sasrec",
    "models": {"sasrec": {"width": 16, "n_layers": 1, "training": {"epochs": 1}}},
    "tokens": SMALL["tokens"],
    "ranking": {
        "n_candidates": 50,
        "ranker": {"kind": "dcn_v2", "training": {"epochs": 1, "monitor": "auc"}},
    },
}


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return simulate(SimulatedConfig(users=150, items=120, days=60), seed=0)[0]


@pytest.fixture(scope="module")
def recipe(simulated: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A recipe for the simulated shop's impressions, written as a shop would, in any order."""
    shown = simulated.impressions
    assert shown is not None
    folder = tmp_path_factory.mktemp("log")
    shown.select(
        pl.Series("visitor", simulated.users.externals(shown["user"].to_numpy())),
        pl.Series("sku", simulated.items.externals(shown["item"].to_numpy())),
        pl.col("time").alias("ts"),
        pl.col("clicked").alias("label"),
        "slot",
        "device",
        "hour",
        pl.Series("category", [("home", "search")[i % 2] for i in range(len(shown))]),  # of a page
    ).sample(fraction=1, shuffle=True, seed=0).sort("slot").write_csv(folder / "log.csv")
    return resolve(QUICK | {"data": {"path": str(folder / "log.csv"), "clicked": "label"}})


def test_the_log_comes_in_as_it_was_simulated(simulated: Dataset, recipe: Recipe) -> None:
    data = open_shop(recipe).data
    assert data.impressions is not None
    assert simulated.impressions is not None
    names = ["user", "item", "time", "clicked", "slot", "device", "hour"]
    # ids sort alike; whoever, or whatever, never came into the window has none
    assert data.users.ids == simulated.users.externals(
        simulated.impressions["user"].unique().sort()
    )
    users, items = (
        table.externals(simulated.impressions[role].to_numpy())
        for table, role in ((simulated.users, "user"), (simulated.items, "item"))
    )
    assert data.users.externals(data.impressions["user"].to_numpy()) == users
    assert data.items.externals(data.impressions["item"].to_numpy()) == items
    theirs = simulated.impressions.select(names[2:])
    assert data.impressions.select(names[2:]).cast(theirs.schema).equals(theirs)
    assert len(data.interactions) == len(simulated.interactions)


def test_nothing_is_drawn(recipe: Recipe) -> None:
    shop = open_shop(recipe)
    features = ranking_features(shop, spell_items(shop, recipe).vectors, recipe.ranking)
    log = click_log(shop, features, recipe.ranking, seed=0)
    assert not log.is_drawn
    assert set(features.contexts) == {"slot", "device", "hour", "category"}
    assert features.defaults == {"slot": "0"}
    assert shop.data.impressions is not None
    parts = (log.train, log.stop, log.calibrate, log.test)
    assert sum(len(part) for part in parts) == len(shop.data.impressions)
    assert log.train.codes[:, list(features.contexts).index("device")].min() == 1


def test_a_run_ends_in_probabilities_of_what_was_shown(recipe: Recipe, tmp_path: Path) -> None:
    record = run(recipe, tmp_path / "run", lambda text: None)
    assert record is not None
    assert not [note for note in record.notes if "does not say what was shown" in note]
    assert record.calibration is not None
    assert "impressions" in dict(record.data["rows"])
    engine = Engine(tmp_path / "run" / "bundle")
    answer = engine.recommend(engine.popular[:3], 5, context={"device": "phone"})
    assert answer.degraded is None
    assert answer.probabilities is not None
    share = open_shop(recipe).description.click_share
    assert share is not None
    assert answer.probabilities.max() < 5 * share
