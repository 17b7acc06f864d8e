"""What is a calibrator told of a row beside its logit? Codes of some columns of the features.

A run fits and judges with the same codes that a server answers with.

Letters: R rows, F category columns of the features, K fields to calibrate by, C codes of a field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from etalage.calibrate import Calibrator, from_dict
from etalage.errors import BundleError, DataError
from etalage.serve.runtime.features import RankingFeatures


@dataclass(frozen=True)
class CalibrationFields:
    """Fields of `RankingFeatures`, and what a calibrator calls their codes."""

    codes: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """For each field, the calibrator's code of each code of the features, (C,); -1 for none."""
    columns: tuple[int, ...] = ()
    """Where they stand among the category columns."""

    @classmethod
    def of(
        cls, codes: Mapping[str, NDArray[np.int64]], features: RankingFeatures | None
    ) -> CalibrationFields:
        """Finds the columns; BundleError for codes of a field that the features do not have so."""
        sizes = {} if features is None else features.sizes
        for name, known in codes.items():
            if len(known) != sizes.get(name):
                raise BundleError(
                    f"the calibrator tells {len(known):,} codes of {name!r} apart, the features "
                    f"of the bundle {sizes.get(name, 0):,}: they are not of one export"
                )
        order = list(sizes)
        return cls(codes, tuple(order.index(name) for name in codes))

    def context(self, categories: NDArray[np.int32]) -> NDArray[np.int64] | None:
        """What a calibrator takes as context of rows, (R, K), of categories (R, F); None where all
        rows are mapped alike."""
        if not self.columns:
            return None
        found = np.empty((len(categories), len(self.columns)), dtype=np.int64)
        for k, (column, codes) in enumerate(zip(self.columns, self.codes.values(), strict=True)):
            found[:, k] = codes.take(categories[:, column])
        return found


def write_calibrator(path: Path, calibrator: Calibrator, fields: CalibrationFields) -> None:
    """Writes a calibrator as a bundle holds it."""
    facts = calibrator.to_dict()
    if fields.codes:
        facts["calibrate_by"] = {name: codes.tolist() for name, codes in fields.codes.items()}
    path.write_text(json.dumps(facts))


def read_calibrator(
    path: Path, features: RankingFeatures | None
) -> tuple[Calibrator, CalibrationFields]:
    """Reads what `write_calibrator` wrote; BundleError for what does not fit the features."""
    facts = orjson.loads(path.read_bytes())
    calibrator = from_dict(facts)
    codes = {
        name: np.array(known, dtype=np.int64)
        for name, known in facts.get("calibrate_by", {}).items()
    }
    fields = CalibrationFields.of(codes, features)
    n_columns = 0 if features is None else len(features.sizes)
    try:
        calibrator.probability([0.0], fields.context(np.zeros((1, n_columns), np.int32)))
    except DataError as error:
        by = ", ".join(codes) or "nothing"
        raise BundleError(
            f"{path.name} does not fit what it calibrates by ({by}): {error}"
        ) from error
    return calibrator, fields
