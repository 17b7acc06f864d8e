"""Ready-made recipes: one a model, sound before any work, each with the rows to beat."""

from pathlib import Path

import pytest

from etalage.models.exportable import Exportable
from etalage.models.registry import MODELS, RANKERS, build
from etalage.pipeline.monitors import check_monitors
from etalage.recipe.recipe import load

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_every_model_has_a_recipe() -> None:
    assert sorted(path.stem for path in RECIPES) == sorted([*MODELS, *RANKERS])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_can_be_run(path: Path) -> None:
    recipe = load(path)
    models = {name: build(settings, "recommender") for name, settings in recipe.models.items()}
    ranker = build(recipe.ranking.ranker, "ranker")
    check_monitors(models, ranker)
    assert path.stem in {*models, ranker.config.kind}
    assert {"popularity", "item_knn_markov"} <= set(models), "every table shows the baselines"
    if recipe.retriever is None:
        assert not isinstance(models.get(path.stem), Exportable), "it could be served"
    else:
        assert isinstance(models[recipe.retriever], Exportable)
