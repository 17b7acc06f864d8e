"""Recipes: what is read, what is laid over it, and what a mistake is answered with."""

import re
from pathlib import Path
from typing import Any

import pytest

from etalage.errors import RecipeError
from etalage.models.registry import build
from etalage.recipe.recipe import Recipe, load, override, resolve

RECIPE = """
data:
  split: {kind: leave_one_out}
models:
  popularity:
  sasrec: {width: 64}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_a_model_is_of_the_kind_it_is_called(path: Path) -> None:
    recipe = load(path)
    assert recipe.data.split.kind == "leave_one_out"
    assert recipe.models == {
        "item_knn_markov": {"kind": "item_knn_markov"},  # no table without it
        "popularity": {"kind": "popularity"},
        "sasrec": {"kind": "sasrec", "width": 64},
    }


def test_overrides_come_last_and_may_add(path: Path) -> None:
    changes = ["models.sasrec.width=128", "models.wide.kind=sasrec", "seed=3", "data.path=a=b.csv"]
    recipe = load(path, [*changes, "models.popularity.half_life=2"])
    assert recipe.models["sasrec"]["width"] == 128
    assert recipe.models["wide"] == {"kind": "sasrec"}
    assert recipe.models["popularity"] == {"kind": "popularity", "half_life": 2}
    assert (recipe.seed, recipe.data.path) == (3, "a=b.csv")


def test_a_snapshot_reads_back_to_the_same(path: Path, tmp_path: Path) -> None:
    recipe = load(path, ["data.path=Über/log.csv"])
    (tmp_path / "snapshot.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    assert load(tmp_path / "snapshot.yaml") == recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sed=3", "sed: unknown key; did you mean 'seed'"),
        ("data.splt.kind=x", "data.splt: unknown key; did you mean 'split'"),
        ("data.split.kind=by_time", "data.split.kind: Input should be 'auto'"),
        ("data.split.valid=2", "data.split.valid: Input should be less than 1; got 2"),
        ("data.split.zzz=2", "data.split.zzz: unknown key; known: kind, valid, test"),
        ("seed", "write it as path.to.key=value"),
        ("=3", "write it as path.to.key=value"),
        ("data.split.kind.x=1", "'kind' is a value"),
        ("seed=[", "cannot read the value"),
        ("seed=-1", "seed: Input should be greater than or equal to 0; got -1"),
        ("seed=100000000000000000000000", "seed: Input should be less than 9223372036854775808"),
        ("models.sasrec=3", "models.sasrec: Input should be a valid dictionary; got 3"),
        ("models=3", "models: Input should be a valid dictionary; got 3"),
    ],
)
def test_a_mistake_is_named(path: Path, change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace("(", r"\(")):
        load(path, [change])


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is no YAML"), ("- a\n", "holds list"), ("7", "holds int")]
)
def test_what_is_no_recipe_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load(path)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read .*the recipe.yaml in the folder of a run"):
        load(tmp_path)


def test_a_missing_file_and_an_empty_one(path: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no recipe"):
        load(tmp_path / "nowhere.yaml")
    path.write_text("")  # as a full disk leaves it
    with pytest.raises(RecipeError, match="is empty"):
        load(path)
    path.write_text("name: run")
    assert load(path) == resolve({})
    assert list(load(path).models) == ["popularity", "item_knn_markov"]  # in every table
    assert load(path).model_copy(update={"models": {}}) == Recipe()


def test_an_override_opens_an_empty_block() -> None:
    tree: dict = {"models": {"sasrec": None}}
    override(tree, "models.sasrec.training.epochs=5")
    assert tree == {"models": {"sasrec": {"training": {"epochs": 5}}}}


def test_a_block_given_in_part_keeps_the_rest_of_its_default_however_deep() -> None:
    given = {"kind": "prorec", "collaborative": {"training": {"learning_rate": 0.002}}}
    stage = build(given).config.collaborative
    default = build({"kind": "prorec"}).config.collaborative
    assert stage.training == default.training.model_copy(update={"learning_rate": 0.002})
    assert stage.training.epochs != type(stage)().training.epochs


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"widht": 8}, "prorec.collaborative.widht: unknown key; did you mean 'width'"),
        ({"kind": "window_din", "window": [1]}, "collaborative.window: unknown key; did you mean"),
        ({"kind": "window_din", "windows": [0]}, "prorec.collaborative.windows.0: "),
        ({"training": {"epoch": 3}}, "prorec.collaborative.training.epoch: unknown key; did you"),
    ],
)
def test_faults_in_a_block_of_several_kinds_are_told_as_they_were_given(
    block: dict[str, Any], expected: str
) -> None:
    with pytest.raises(RecipeError, match=re.escape(expected)):
        build({"kind": "prorec", "collaborative": block})
