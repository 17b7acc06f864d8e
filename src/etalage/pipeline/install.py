"""Are the probabilities no longer right? A calibrator refitted to new scores, put into a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etalage.errors import BundleError, did_you_mean
from etalage.pipeline.scores import ScoreCalibrator
from etalage.serve.bundle import change_bundle
from etalage.serve.runtime.calibration import (
    CalibrationFields,
    read_calibrator,
    write_calibrator,
)
from etalage.serve.runtime.catalogue import Catalogue
from etalage.serve.runtime.features import RankingFeatures

Words = list[str | None]
TRUTHS = {"True": "true", "False": "false"}
"""Truth values as context columns spell them, and as tables of scores do."""


@dataclass(frozen=True)
class Installed:
    """What came of it."""

    model_version: str
    n_known: dict[str, int]
    """For each field, how many values of the calibrator the bundle knows."""


def install(folder: Path, fitted: ScoreCalibrator) -> Installed:
    """Puts a calibrator in the place of a bundle's own, whole or not at all.

    It must have been fitted to scores of the bundle's ranker, as they were before calibration.

    Raises:
        BundleError: for a bundle without a ranker or that is not sound, and for a calibrator of a
            field that the bundle does not have, or none of whose values it knows.
    """
    n_known: dict[str, int] = {}

    def change(draft: Path) -> None:
        # all of it is read from the copy: the bundle itself may be written again meanwhile
        if not (draft / "ranker.onnx").exists():
            raise BundleError(
                f"{folder} has no ranker whose scores could be calibrated; export a run that ranks"
            )
        features = RankingFeatures.load(draft / "features")
        fields = _matched(fitted.values, _words(features, Catalogue.load(draft)))
        place = draft / "calibrator.json"
        write_calibrator(place, fitted.calibrator, CalibrationFields.of(fields, features))
        read_calibrator(place, features)  # what a server could not read must not reach it
        n_known.update((name, len(np.unique(c[c >= 0]))) for name, c in fields.items())

    return Installed(change_bundle(folder, change)["model_version"], n_known)


def _words(features: RankingFeatures, catalogue: Catalogue) -> dict[str, Words]:
    """What a table calls each code of each field; None for the unknown, and for what has none."""
    ids = zip(catalogue.ids.ids, features.item_codes.tolist(), strict=True)
    items: Words = [None, *(str(external) if code else None for external, code in ids)]
    categories: Words = [None] * (features.n_categories + 1)
    for code, name in zip(features.category_of.tolist(), catalogue.categories, strict=True):
        categories[code] = name if code else None
    contexts: list[Words] = [[None, *values] for values in features.contexts.values()]
    return dict(zip(features.sizes, [items, categories, categories, *contexts], strict=True))


def _matched(values: dict[str, list[str]], words: dict[str, Words]) -> dict[str, NDArray[np.int64]]:
    """The calibrator's code of each code of the features, for each of its fields."""
    found = {}
    for name, known in values.items():
        if name not in words:
            raise BundleError(
                f"the bundle has no field {name!r}{did_you_mean(name, words)} (it has "
                f"{', '.join(words)}); name columns so when fitting"
            )
        codes = _places(known, words[name])
        if codes.max() < 0:
            theirs = [word for word in words[name] if word is not None]
            raise BundleError(
                f"the bundle knows none of the calibrator's values of {name!r}, such as "
                f"{known[:3]}; its own are such as {theirs[:3]}"
            )
        found[name] = codes
    return found


def _places(known: list[str], words: Words) -> NDArray[np.int64]:
    """Where each word stands in a list; -1 where it does not."""
    place: dict[str | None, int] = dict(zip(known, range(len(known)), strict=True))
    spelled = [w if w in place or w not in TRUTHS else TRUTHS[w] for w in words]
    return np.array([place.get(w, -1) for w in spelled], dtype=np.int64)
