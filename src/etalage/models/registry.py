"""Which models are there? One line each, loaded only when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from etalage.errors import RecipeError, did_you_mean, naming_extras
from etalage.recipe.config import ModelConfig
from etalage.recipe.recipe import checked

MODELS: dict[str, str] = {
    "popularity": "etalage.models.baseline.popularity:Popularity",
    "item_knn": "etalage.models.baseline.neighbours:ItemKNN",
    "markov": "etalage.models.baseline.neighbours:Markov",
    "item_knn_markov": "etalage.models.baseline.neighbours:ItemKNNMarkov",
    "ease": "etalage.models.baseline.ease:EASE",
    "sasrec": "etalage.models.sequential.sasrec:SASRec",
    "two_tower": "etalage.models.sequential.two_tower:TwoTower",
    "window_din": "etalage.models.sequential.din:WindowDIN",
    "tiger": "etalage.models.generative.tiger:TIGER",
    "prorec": "etalage.models.generative.prorec:PRORec",
    "gf_cf": "etalage.models.graph.gfcf:GFCF",
    "mf": "etalage.models.graph.mf:MF",
    "lightgcn": "etalage.models.graph.lightgcn:LightGCN",
    "ultragcn": "etalage.models.graph.ultragcn:UltraGCN",
    "simgcl": "etalage.models.graph.simgcl:SimGCL",
    "autograph": "etalage.models.graph.autograph:AutoGraph",
    "xsimgcl": "etalage.models.graph.simgcl:XSimGCL",
}
RANKERS: dict[str, str] = {
    "counts": "etalage.models.ranking.counts:Counts",
    "lr": "etalage.models.ranking.linear:LR",
    "fm": "etalage.models.ranking.fm:FM",
    "dnn": "etalage.models.ranking.deep:DNN",
    "wide_deep": "etalage.models.ranking.deep:WideDeep",
    "deepfm": "etalage.models.ranking.deep:DeepFM",
    "xdeepfm": "etalage.models.ranking.xdeepfm:XDeepFM",
    "autoint": "etalage.models.ranking.autoint:AutoInt",
    "dcn": "etalage.models.ranking.dcn:DCN",
    "dcn_v2": "etalage.models.ranking.dcn:DCNV2",
    "gdcn": "etalage.models.ranking.gdcn:GDCN",
    "masknet": "etalage.models.ranking.masknet:MaskNet",
    "finalmlp": "etalage.models.ranking.finalmlp:FinalMLP",
    "finalnet": "etalage.models.ranking.finalnet:FinalNet",
    "din": "etalage.models.ranking.din:DIN",
    "qnn": "etalage.models.ranking.qnn:QNN",
    "ensemble": "etalage.models.ranking.ensemble:Ensemble",
}
Role = Literal["recommender", "ranker"]
ROLES: dict[Role, dict[str, str]] = {"recommender": MODELS, "ranker": RANKERS}


def model_type(kind: str, role: Role | None = None) -> Any:
    """Returns the class of a model.

    Raises:
        RecipeError: for a name that no model has, or that is none of the role asked for; names
            near misses.
        MissingExtraError: when the model needs a package that is not installed.
    """
    known = MODELS | RANKERS if role is None else ROLES[role]
    if not isinstance(kind, str) or kind not in known:
        listed = f"(known: {', '.join(sorted(known))})"
        for other, kinds in ROLES.items():
            if role is not None and str(kind) in kinds:
                raise RecipeError(f"{kind!r} is a {other}; a {role} is asked for {listed}")
        hint = did_you_mean(str(kind), known)
        name = "ranker" if role == "ranker" else "model"
        raise RecipeError(f"there is no kind of {name} {kind!r}{hint} {listed}")
    module, name = known[kind].split(":")
    with naming_extras():
        return getattr(import_module(module), name)


def build(settings: ModelConfig | dict[str, Any], role: Role | None = None, where: str = "") -> Any:
    """Builds an unfitted model from its settings; `kind` says which, `role` what it must be.

    A fault is told with the path of its setting, below `where` or, without one, the kind.

    Raises:
        RecipeError: for a kind or a setting that does not exist, or a model of another role.
        MissingExtraError: when the model needs a package that is not installed.
    """
    if isinstance(settings, ModelConfig):
        return model_type(settings.kind, role)(settings)
    if "kind" not in settings:
        at = f"{where}: " if where else ""
        raise RecipeError(f"{at}model settings need 'kind'; got the keys {sorted(settings)}")
    model = model_type(settings["kind"], role)
    return model(checked(model.config_type, settings, where or settings["kind"]))
