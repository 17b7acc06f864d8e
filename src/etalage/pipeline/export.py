"""What leaves the workshop? Fitted models as a bundle that a light server can open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from etalage.calibrate import Calibrator
from etalage.data.dataset import Dataset
from etalage.errors import RecipeError
from etalage.models.exportable import Exportable
from etalage.models.ranker import Ranker
from etalage.models.recommender import Recommender
from etalage.pipeline.shop import item_names
from etalage.recipe.recipe import Recipe
from etalage.serve.bundle import write_bundle
from etalage.serve.runtime.calibration import CalibrationFields, write_calibrator
from etalage.serve.runtime.features import RankingFeatures
from etalage.tokenize.semantic_ids import SemanticIds

MOST_VISITORS = 20_000
"""Histories stored in a bundle at most, those of the newest visitors."""


@dataclass(frozen=True)
class Served:
    """What a bundle is made of."""

    retriever: Recommender
    ids: SemanticIds | None = None
    ranker: Ranker | None = None
    features: RankingFeatures | None = None
    calibrator: Calibrator | None = None
    fields: CalibrationFields = field(default_factory=CalibrationFields)
    """What the calibrator is told of a row beside its logit."""
    order: Literal["retriever", "ranker"] = "retriever"
    """Whose scores order the list: which was better on validation data."""


def export_bundle(folder: Path, data: Dataset, served: Served, recipe: Recipe) -> None:
    """Writes a bundle; visitors get the histories of `data`.

    Raises:
        RecipeError: when the retriever or the ranker has nothing to export.
    """
    check_exportable(served.retriever, str(recipe.retriever))
    if served.ranker is not None and not isinstance(served.ranker, Exportable):
        raise RecipeError(
            f"ranker {served.ranker.config.kind!r} cannot be served: it has no export; choose one "
            "that has, such as dcn_v2"
        )
    facts = {
        "name": data.name,
        "recipe": recipe.to_dict(),
        "data_hash": data.hash,
        "history_length": served.retriever.history_length,
        "n_candidates": recipe.ranking.n_candidates,
        "order": served.order,
        "repeats": recipe.repeats,
    }
    write_bundle(folder, lambda draft: _fill(draft, data, served), facts)


def check_exportable(retriever: Recommender, name: str) -> None:
    """Raises RecipeError for a model that has no encoder, or not with its settings."""
    if not isinstance(retriever, Exportable):
        raise RecipeError(
            f"retriever {name!r} cannot be served: it has no encoder; choose a model that has, "
            "such as sasrec or tiger, or none (retriever=null) to compare models only"
        )
    retriever.check_servable()


def _fill(folder: Path, data: Dataset, served: Served) -> None:
    assert isinstance(served.retriever, Exportable)  # asked for in export_bundle
    served.retriever.export(folder)
    titles, categories = item_names(data)
    items = {"ids": list(data.items.ids), "titles": titles, "categories": categories}
    (folder / "items.json").write_bytes(orjson.dumps(items))
    log = data.interactions
    np.save(folder / "popular.npy", np.argsort(-log.popularity(), kind="stable").astype(np.int32))
    codes = folder / "codes.npy"
    if served.ids is not None and not codes.exists():  # a generator has written its own
        np.save(codes, served.ids.codes)
    if served.ranker is not None and served.features is not None:
        assert isinstance(served.ranker, Exportable)  # likewise
        served.ranker.export(folder)
        served.features.save(folder / "features")
    if served.calibrator is not None:
        write_calibrator(folder / "calibrator.json", served.calibrator, served.fields)
    (folder / "visitors.json").write_bytes(orjson.dumps(_visitors(data)))


def _visitors(data: Dataset) -> dict[str, Any]:
    log = data.interactions
    people = np.flatnonzero(np.diff(log.offsets))
    newest = log.times[log.offsets[people + 1] - 1]
    people = np.sort(people[np.argsort(-newest, kind="stable")[:MOST_VISITORS]])
    rows = [log.items[log.offsets[u] : log.offsets[u + 1]].tolist() for u in people]
    return {
        "ids": data.users.externals(people),
        "offsets": np.cumsum([0, *map(len, rows)]).tolist(),
        "items": [item for row in rows for item in row],
    }
