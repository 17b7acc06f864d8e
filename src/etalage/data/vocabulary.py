"""Which code is this value? Learnt from training rows of a click table, used on all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.data.features import FeatureTable
from etalage.errors import DataError


@dataclass(frozen=True)
class ClickVocabulary:
    """Which code is this value? Learnt from training rows of a click table, used on all others."""

    values: Mapping[str, NDArray[Any]]
    """Category fields and their known values in order of code, from code 1."""
    moments: Mapping[str, tuple[float, float]]
    """Number fields and the mean and deviation of their training values."""

    @classmethod
    def learn(cls, frame: pl.DataFrame, *, rare: int = 1) -> ClickVocabulary:
        """Reads the fields of a table as `read_clicks` gives it.

        Text and whole numbers are categories, other numbers are standardised. Values with fewer
        than `rare` training rows are unknown.
        """
        values: dict[str, NDArray[Any]] = {}
        moments: dict[str, tuple[float, float]] = {}
        for column in frame.drop("label", strict=False).get_columns():
            if column.dtype.is_float():
                mean, deviation = column.mean(), column.std()
                moments[column.name] = (float(mean or 0), float(deviation or 1))  # type: ignore[arg-type]
                continue
            counts = column.drop_nulls().value_counts(sort=True)
            kept = counts.filter(pl.col("count") >= rare)[column.name]
            values[column.name] = kept.sort().to_numpy()
        if not values and not moments:
            raise DataError("the click table has a label but no field to predict it from")
        return cls(values, moments)

    def table(self, frame: pl.DataFrame) -> FeatureTable:
        """Codes the rows of a click table; a missing number is the training mean."""
        missing = [name for name in (*self.values, *self.moments) if name not in frame.columns]
        if missing:
            raise DataError(f"fields {missing} are not in the table; it has {frame.columns}")
        codes = [_code(frame[name], values) for name, values in self.values.items()]
        numbers = [
            (frame[name].fill_null(mean).to_numpy() - mean) / (deviation or 1)
            for name, (mean, deviation) in self.moments.items()
        ]
        shape = (len(frame), 0)
        return FeatureTable(
            {name: len(values) + 1 for name, values in self.values.items()},
            np.column_stack(codes) if codes else np.zeros(shape, np.int32),
            tuple(self.moments),
            np.column_stack(numbers).astype(np.float32) if numbers else np.zeros(shape, np.float32),
            clicks=frame["label"].to_numpy().astype(np.int8) if "label" in frame.columns else None,
        )


def _code(column: pl.Series, values: NDArray[Any]) -> NDArray[np.int32]:
    known = pl.DataFrame({"value": values, "code": np.arange(1, len(values) + 1, dtype=np.int32)})
    asked = pl.DataFrame({"value": column.cast(known["value"].dtype, strict=False)})
    found = asked.join(known, on="value", how="left", maintain_order="left")
    return found["code"].fill_null(0).to_numpy()
