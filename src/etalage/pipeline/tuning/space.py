"""What may be tried? The `search` of a recipe: settings of one model, each with its values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError, model_validator

from etalage.errors import RecipeError, did_you_mean
from etalage.models.registry import Role, build
from etalage.pipeline.monitors import check_monitors
from etalage.recipe.config import Config, ModelConfig, located
from etalage.recipe.recipe import Recipe, checked, put

RANKER = "ranking.ranker"
EXAMPLE = "search: {models.sasrec.dropout: {low: 0.0, high: 0.5}, models.sasrec.width: [32, 64]}"
FIXED = ("kind", "training.monitor")
"""Settings that decide what is measured: values under one and another could not be compared."""


class Range(Config):
    """Values from `low` to `high`, both included."""

    low: int | float
    high: int | float
    log: bool = False
    """Even in the logarithm, for what spans powers of ten."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low={self.low} is not below high={self.high}")
        if self.log and not self.low > 0:
            raise ValueError(f"a logarithmic range must begin above 0; low={self.low}")
        return self


@dataclass(frozen=True)
class Whole:
    """The whole numbers of a range, for a setting that takes no fractions."""

    range: Range


Values = Range | Whole | tuple[Any, ...]


@dataclass(frozen=True)
class Space:
    """Settings of one model, and what each may be."""

    subject: str
    """Path of the model's block: `models.NAME` or `ranking.ranker`."""
    role: Role
    metric: str
    """Validation metric that is searched for; higher is better."""
    values: Mapping[str, Values]
    """By whole path."""

    @classmethod
    def of(cls, recipe: Recipe) -> Space:
        """Reads the search of a recipe.

        Raises:
            RecipeError: where there is none, or it names a setting that does not exist, a value
                that the setting does not take, or settings of several models.
        """
        if not recipe.search:
            raise RecipeError(f"this recipe has no search; add one, such as\n{EXAMPLE}")
        subjects = {path: _subject(path, recipe) for path in recipe.search}
        subject = next(iter(subjects.values()))
        if len({*subjects.values()}) > 1:
            raise RecipeError(
                "a search is over the settings of one model; this one names "
                + " and ".join(sorted({*subjects.values()}))
            )
        role: Role = "ranker" if subject == RANKER else "recommender"
        model = build(settings_of(recipe, subject), role)
        if role == "ranker":
            check_monitors({}, model)
        else:
            check_monitors({subject.removeprefix("models."): model}, None)
        monitor = getattr(getattr(model.config, "training", None), "monitor", None)
        metric = monitor or ("auc" if role == "ranker" else "ndcg@10")
        values = {
            path: _values(path, given, subject, model.config)
            for path, given in recipe.search.items()
        }
        return cls(subject, role, metric, values)

    def short(self, path: str) -> str:
        """A path within the model's block."""
        return path.removeprefix(f"{self.subject}.")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Asks an optuna trial for a value of every setting."""
        return {path: _suggested(trial, path, values) for path, values in self.values.items()}

    def first(self, recipe: Recipe) -> dict[str, Any] | None:
        """The recipe's own settings as parameters of a trial; None where one lies outside."""
        settings = build(settings_of(recipe, self.subject), self.role).config.to_dict()
        params = {}
        for path, values in self.values.items():
            value: Any = settings
            for key in self.short(path).split("."):
                value = value[key]
            if isinstance(values, tuple):
                if value not in values:
                    return None
                params[path] = json.dumps(values[values.index(value)])
            else:
                ends = values.range if isinstance(values, Whole) else values
                if value is None or not ends.low <= value <= ends.high:
                    return None
                params[path] = value
        return params

    def chosen(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the settings from the parameters of a trial."""
        return {
            path: json.loads(value) if isinstance(self.values[path], tuple) else value
            for path, value in params.items()
        }


def laid_over(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with these settings, and with nothing left to search."""
    tree = recipe.to_dict() | {"search": {}}
    for path, value in values.items():
        put(tree, path, value)
    found: Recipe = checked(Recipe, tree, "")
    return found


def settings_of(recipe: Recipe, subject: str) -> dict[str, Any]:
    """The block of a model."""
    if subject == RANKER:
        return recipe.ranking.ranker
    return recipe.models[subject.removeprefix("models.")]


def _suggested(trial: Any, path: str, values: Values) -> Any:
    if isinstance(values, Whole):
        ends = values.range
        return trial.suggest_int(path, ends.low, ends.high, log=ends.log)
    if isinstance(values, Range):
        return trial.suggest_float(path, values.low, values.high, log=values.log)
    # as text: a journal keeps nothing else that lists could be told apart by
    return json.loads(trial.suggest_categorical(path, [json.dumps(v) for v in values]))


def _subject(path: str, recipe: Recipe) -> str:
    """Path of the block that a setting is in."""
    room, _, rest = path.partition(".")
    name, _, setting = rest.partition(".")
    if room == "models" and setting:
        if name not in recipe.models:
            hint = did_you_mean(name, recipe.models) or f"; models: {', '.join(recipe.models)}"
            raise RecipeError(f"search.{path}: no model is called {name!r}{hint}")
        return f"models.{name}"
    if path.startswith(f"{RANKER}.") and setting:
        if recipe.retriever is None:
            raise RecipeError(
                f"search.{path}: a recipe without a retriever trains no ranker; set retriever"
            )
        return RANKER
    hint = did_you_mean(room, ("models", "ranking"))
    raise RecipeError(
        f"search.{path}: a search is over settings of a model, models.NAME.SETTING or "
        f"{RANKER}.SETTING{hint}"
    )


def _values(path: str, given: Any, subject: str, config: ModelConfig) -> Values:
    """What a setting may be; RecipeError unless it exists and takes each value by itself."""
    keys = tuple(path.removeprefix(f"{subject}.").split("."))
    _check_exists(path, keys, config)
    if isinstance(given, list):
        if not given:
            raise RecipeError(f"search.{path}: the list is empty; give the values to choose from")
        for value in given:
            _check_taken(path, keys, config, value)
        return tuple(given)
    if not isinstance(given, dict):
        raise RecipeError(
            f"search.{path}: got {given!r}; give the values to choose from, [a, b], or a range, "
            "{low: a, high: b, log: true}"
        )
    ends: Range = checked(Range, given, f"search.{path}")
    for value in (ends.low, ends.high):
        _check_taken(path, keys, config, value)
    fraction = ends.low + (ends.high - ends.low) / 2**0.5
    return Whole(ends) if _faults(keys, config, fraction) else ends


def _check_exists(path: str, keys: tuple[str, ...], config: Config) -> None:
    block: Any = config
    for n, key in enumerate(keys):
        if not isinstance(block, Config) or key not in type(block).model_fields:
            known = [*type(block).model_fields] if isinstance(block, Config) else []
            hint = did_you_mean(key, known) or (f"; known: {', '.join(known)}" if known else "")
            raise RecipeError(f"search.{path}: there is no setting {'.'.join(keys[: n + 1])}{hint}")
        block = getattr(block, key)
    if isinstance(block, Config):
        known = [*type(block).model_fields]
        raise RecipeError(f"search.{path} is a block; name one of its settings: {', '.join(known)}")
    if ".".join(keys) in FIXED:
        raise RecipeError(f"search.{path}: this decides what is measured, and must stay the same")


def _check_taken(path: str, keys: tuple[str, ...], config: ModelConfig, value: Any) -> None:
    faults = _faults(keys, config, value)
    if faults:
        raise RecipeError(f"search.{path}: {value!r} is no value of it: {faults[0]}")


def _faults(keys: tuple[str, ...], config: ModelConfig, value: Any) -> list[str]:
    """What is wrong with a value in itself; a fault of its company is left to the trial."""
    tree = config.to_dict()
    put(tree, ".".join(keys), value)
    try:
        type(config).model_validate(tree)
    except ValidationError as error:
        places = ((f["msg"], located(type(config), f["loc"])[0]) for f in error.errors())
        return [message for message, place in places if place[: len(keys)] == keys]
    return []
