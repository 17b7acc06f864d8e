"""A small shop, trained for a moment, exported once for all tests of serving."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from etalage.calibrate import Platt
from etalage.models.registry import build
from etalage.pipeline.clicks import ClickLog, click_log, ranking_features
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.shop import Shop, open_shop, spell_items
from etalage.recipe.recipe import Recipe, resolve

SMALL = {
    "data": {"simulated": {"users": 150, "items": 120, "days": 60}},
    "tokens": {"n_codes": 8, "vector_width": 16},
    "ranking": {"n_candidates": 60},
}


@dataclass(frozen=True)
class Exported:
    """A bundle, and what it was made from."""

    folder: Path
    shop: Shop
    served: Served
    recipe: Recipe
    log: ClickLog


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    recipe = resolve(SMALL)
    shop = open_shop(recipe)
    spelling = spell_items(shop, recipe)
    training = {"epochs": 2, "batch_size": 32}
    sasrec = build({"kind": "sasrec", "width": 16, "max_length": 30, "training": training})
    sasrec.fit(shop.training_data)
    features = ranking_features(shop, spelling.vectors, recipe.ranking)
    log = click_log(shop, features, recipe.ranking, seed=0)
    training = {"epochs": 2, "batch_size": 256, "monitor": "auc"}
    ranker = build({"kind": "dcn_v2", "width": 8, "hidden": (16,), "training": training})
    ranker.fit(log.train.table(features))
    calibrator = Platt().fit(
        ranker.score(log.calibrate.table(features)), log.calibrate.clicks.astype(np.int64)
    )
    served = Served(sasrec, spelling.ids, ranker, features, calibrator, order="ranker")
    folder = tmp_path_factory.mktemp("served") / "bundle"
    export_bundle(folder, shop.data, served, recipe)
    return Exported(folder, shop, served, recipe, log)


@pytest.fixture
def bundle(exported: Exported, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(exported.folder, tmp_path / "bundle"))
