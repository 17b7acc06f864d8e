"""Which models are there? One line each, loaded only when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from etalage.errors import MissingExtraError, RecipeError, did_you_mean
from etalage.recipe.config import ModelConfig
from etalage.recipe.recipe import checked

MODELS: dict[str, str] = {
    "popularity": "etalage.models.baseline.popularity:Popularity",
    "item_knn": "etalage.models.baseline.neighbours:ItemKNN",
    "markov": "etalage.models.baseline.neighbours:Markov",
    "item_knn_markov": "etalage.models.baseline.neighbours:ItemKNNMarkov",
    "ease": "etalage.models.baseline.ease:EASE",
    "sasrec": "etalage.models.sequential.sasrec:SASRec",
    "tiger": "etalage.models.generative.tiger:TIGER",
}
RANKERS: dict[str, str] = {
    "dcn": "etalage.models.ranking.dcn:DCN",
}


def model_type(kind: str) -> Any:
    """Returns the class of a model; RecipeError names near misses."""
    known = MODELS | RANKERS
    if kind not in known:
        raise RecipeError(
            f"no model is called {kind!r}{did_you_mean(kind, known)} "
            f"(known: {', '.join(sorted(known))})"
        )
    module, name = known[kind].split(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name in {"torch", "scipy", "safetensors"}:
            raise MissingExtraError(error.name, "train") from error
        raise


def build(settings: ModelConfig | dict[str, Any]) -> Any:
    """Builds an unfitted model from its settings; `kind` says which."""
    if isinstance(settings, ModelConfig):
        return model_type(settings.kind)(settings)
    if "kind" not in settings:
        raise RecipeError(f"model settings need 'kind'; got the keys {sorted(settings)}")
    model = model_type(settings["kind"])
    return model(checked(model.config_type, settings, settings["kind"]))
