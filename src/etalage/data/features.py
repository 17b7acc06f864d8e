"""What does a ranker read? Columns of codes and numbers with a label, in memory or on disk.

Letters: R rows (impressions), F category fields, M numbers, L history length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage import __version__
from etalage.artefact import Kind, whole_folder
from etalage.data.ragged import check_items
from etalage.errors import BundleError, DataError

Columns = dict[str, NDArray[Any]]
VERSION = 1
TABLE = Kind("feature table", "schema.json", "etalage_table")


@dataclass(frozen=True)
class FeatureTable:
    """Rows for a ranker. Code 0 of every category field means unknown."""

    sizes: Mapping[str, int]
    """Category fields in column order and how many codes each has, unknown included."""
    categories: NDArray[np.int32]  # (R, F)
    number_names: tuple[str, ...]
    numbers: NDArray[np.float32]  # (R, M)
    clicks: NDArray[np.int8] | None = None  # (R,) 0 or 1
    history: NDArray[np.int32] | None = None
    """Newest items before each row, (R, L), left-padded with -1; item i has code i + 1 of the
    first category field."""
    groups: NDArray[np.int32] | None = None
    """Person of each row, (R,), for measures within a person; never a feature."""

    def __post_init__(self) -> None:
        n_rows = len(self.categories)
        if self.categories.shape != (n_rows, len(self.sizes)):
            raise DataError(
                f"categories have shape {self.categories.shape}; expected ({n_rows}, "
                f"{len(self.sizes)}) for the fields {list(self.sizes)}"
            )
        if self.numbers.shape != (n_rows, len(self.number_names)):
            raise DataError(
                f"numbers have shape {self.numbers.shape}; expected ({n_rows}, "
                f"{len(self.number_names)}) for {list(self.number_names)}"
            )
        for name in ("clicks", "history", "groups"):
            column = getattr(self, name)
            if column is not None and len(column) != n_rows:
                raise DataError(f"{name} has {len(column)} rows, the table {n_rows}")
        names = [
            name
            for name, column in zip(self.sizes, self.categories.T, strict=True)
            if n_rows and not 0 <= column.min() <= column.max() < self.sizes[name]
        ]
        if names:
            raise DataError(f"a code lies outside its vocabulary in {names}; sizes: {self.sizes}")
        if self.history is not None and self.sizes:
            check_items(self.history, next(iter(self.sizes.values())) - 1, "a history")

    def __len__(self) -> int:
        return len(self.categories)

    @property
    def labels(self) -> NDArray[np.int8]:
        """The clicks; DataError where the table has none."""
        if self.clicks is None:
            raise DataError("this feature table has no clicks; fitting needs labelled rows")
        return self.clicks

    @property
    def history_length(self) -> int:
        """L, 0 without a history."""
        return 0 if self.history is None else self.history.shape[1]

    @cached_property
    def hash(self) -> str:
        """16 hex digits: the same columns and rows, the same hash."""
        digest = sha256(json.dumps([dict(self.sizes), self.number_names]).encode())
        for name, block in self._blocks().items():
            digest.update(f"{name} {block.shape}".encode())
            digest.update(np.ascontiguousarray(block).data)
        return digest.hexdigest()[:16]

    def take(self, rows: NDArray[np.integer] | slice) -> FeatureTable:
        """Returns some of the rows."""
        return FeatureTable(
            self.sizes,
            self.categories[rows],
            self.number_names,
            self.numbers[rows],
            None if self.clicks is None else self.clicks[rows],
            None if self.history is None else self.history[rows],
            None if self.groups is None else self.groups[rows],
        )

    def save(self, folder: Path) -> None:
        """Writes one npy a block and `schema.json`, at once or not at all.

        Raises:
            DataError: when the folder holds something else.
        """
        with whole_folder(folder, TABLE) as draft:
            for name, block in self._blocks().items():
                np.save(draft / f"{name}.npy", block, allow_pickle=False)
            schema = {
                "etalage_table": VERSION,
                "library_version": __version__,
                "data_hash": self.hash,
                "sizes": dict(self.sizes),
                "number_names": list(self.number_names),
            }
            (draft / "schema.json").write_text(
                json.dumps(schema, indent=1, ensure_ascii=False), encoding="utf-8"
            )

    @classmethod
    def load(cls, folder: Path) -> FeatureTable:
        """Maps what `save` wrote into memory; rows are read when they are used.

        Raises:
            BundleError: when it is not there, broken, or of another version.
        """
        try:
            schema = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
            if schema["etalage_table"] != VERSION:
                raise ValueError(
                    f"it has version {schema['etalage_table']}, this Etalage reads {VERSION}"
                )
            blocks = {
                path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
                for path in folder.glob("*.npy")
            }
            return cls(sizes=schema["sizes"], number_names=tuple(schema["number_names"]), **blocks)
        except (OSError, EOFError, ValueError, KeyError, TypeError, DataError) as error:
            raise BundleError(
                f"no feature table can be read from {folder} ({error!r}); save it again"
            ) from error

    def _blocks(self) -> Columns:
        blocks = {name: getattr(self, name) for name in ("categories", "numbers")}
        for name in ("clicks", "history", "groups"):
            if getattr(self, name) is not None:
                blocks[name] = getattr(self, name)
        return blocks


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
