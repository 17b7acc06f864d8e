"""What a search may name: settings that are there, values that they take, one model at a time."""

import pytest

from etalage.errors import RecipeError
from etalage.models.registry import build
from etalage.pipeline.tuning.space import RANKER, Range, Space, Whole, laid_over, settings_of
from etalage.recipe.recipe import Recipe, resolve


def recipe(search: dict[str, object], **more: object) -> Recipe:
    models = {"sasrec": {"dropout": 0.3}, "near": {"kind": "item_knn"}}
    ranking = {"ranker": {"kind": "qnn", "training": {"monitor": "auc-log_loss"}}}
    return resolve({"models": models, "ranking": ranking, "search": search, **more})


def test_a_range_is_whole_where_the_setting_takes_no_fraction() -> None:
    space = Space.of(
        recipe(
            {
                "models.sasrec.dropout": {"low": 0, "high": 0.5},
                "models.sasrec.width": {"low": 8, "high": 64, "log": True},
                "models.sasrec.training.learning_rate": {"low": "1e-4", "high": 0.01},
                "models.sasrec.n_layers": [1, 2],
            }
        )
    )
    assert space.values == {
        "models.sasrec.dropout": Range(low=0, high=0.5),
        "models.sasrec.width": Whole(Range(low=8, high=64, log=True)),
        "models.sasrec.training.learning_rate": Range(low=1e-4, high=0.01),
        "models.sasrec.n_layers": (1, 2),
    }
    assert (space.subject, space.role, space.metric) == ("models.sasrec", "recommender", "ndcg@10")
    zero_to_one = Space.of(recipe({"models.sasrec.dropout": {"low": 0, "high": 0.9}}))
    assert isinstance(zero_to_one.values["models.sasrec.dropout"], Range)


def test_a_range_in_a_block_of_several_kinds_is_whole_where_it_must_be() -> None:
    path = "models.prorec.collaborative.width"
    searched = resolve({"models": {"prorec": None}, "search": {path: {"low": 16, "high": 64}}})
    assert Space.of(searched).values == {path: Whole(Range(low=16, high=64))}
    wrong = resolve({"models": {"prorec": None}, "search": {path: ["wide", 16]}})
    with pytest.raises(RecipeError, match="'wide' is no value of it"):
        Space.of(wrong)


def test_the_metric_is_what_the_model_stops_by() -> None:
    search = {f"{RANKER}.width": [8, 16]}
    assert Space.of(recipe(search, retriever="sasrec")).metric == "auc-log_loss"
    assert Space.of(recipe({"models.near.n_neighbours": [5, 9]})).metric == "ndcg@10"


def test_the_first_trial_is_the_recipe_itself_where_it_lies_inside() -> None:
    path = "models.sasrec.dropout"
    inside = recipe({path: {"low": 0.1, "high": 0.5}, "models.sasrec.n_layers": [1, 2]})
    space = Space.of(inside)
    first = space.first(inside)
    assert space.chosen(first)[path] == 0.3
    assert laid_over(inside, space.chosen(first)) == laid_over(inside, {
        "models.sasrec.n_layers": build(inside.models["sasrec"]).config.n_layers,
        path: 0.3,
    })  # fmt: skip
    outside = recipe({path: {"low": 0.4, "high": 0.5}})
    assert Space.of(outside).first(outside) is None
    other = recipe({path: [0.1, 0.2]})
    assert Space.of(other).first(other) is None


def test_values_laid_over_a_recipe_change_nothing_else() -> None:
    given = recipe({"models.sasrec.training.epochs": [3, 4]})
    found = laid_over(given, {"models.sasrec.training.epochs": 4, "models.sasrec.width": 32})
    assert found.search == {}
    assert settings_of(found, "models.sasrec") == {
        "kind": "sasrec", "dropout": 0.3, "training": {"epochs": 4}, "width": 32,
    }  # fmt: skip
    assert found.models["near"] == given.models["near"]
    assert given.models["sasrec"] == {"kind": "sasrec", "dropout": 0.3}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({}, r"has no search; add one, such as"),
        ({"models.sasrec.widht": [8]}, r"no setting widht; did you mean 'width'"),
        ({"models.sasrec.training.epoch": [8]}, r"training\.epoch; did you mean 'epochs'"),
        ({"models.sasrec.training": [8]}, r"is a block; name one of its settings: epochs"),
        ({"models.sasrec.width.x": [8]}, r"there is no setting width\.x"),
        (
            {"models.sasrce.width": [8]},
            r"no model is called 'sasrce'; did you mean 'sasrec'",
        ),
        ({"model.sasrec.width": [8]}, r"models\.NAME\.SETTING or .*; did you mean 'models'"),
        ({"models.sasrec": [8]}, r"models\.NAME\.SETTING"),
        ({"ranking.ranker.width": [8]}, r"without a retriever trains no ranker"),
        ({"models.sasrec.kind": ["ease"]}, r"decides what is measured"),
        ({"models.sasrec.training.monitor": ["mrr@10"]}, r"decides what is measured"),
        ({"models.sasrec.width": [8], "models.near.n_neighbours": [2]}, r"names models\.near and"),
        ({"models.sasrec.width": []}, r"the list is empty"),
        ({"models.sasrec.width": 8}, r"got 8; give the values to choose from"),
        ({"models.sasrec.width": ["wide"]}, r"'wide' is no value of it: Input should be a valid i"),
        ({"models.sasrec.dropout": {"low": 0, "high": 1.5}}, r"1\.5 is no value of it: .*less"),
        ({"models.sasrec.width": {"low": 8, "hihg": 9}}, r"hihg: unknown key; did you mean 'high'"),
        ({"models.sasrec.width": {"low": 9, "high": 8}}, r"low=9 is not below high=8"),
        ({"models.sasrec.dropout": {"low": 0, "high": 0.5, "log": True}}, r"begin above 0; low=0"),
    ],
)
def test_what_cannot_be_searched_is_named(search: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Space.of(recipe(search))


def test_values_that_only_their_company_forbids_are_left_to_the_trial() -> None:
    """Width 9 has no two equal heads, but may have three."""
    Space.of(recipe({"models.sasrec.width": [8, 9], "models.sasrec.n_heads": [1, 3]}))
