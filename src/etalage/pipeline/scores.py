"""What did a ranker say, and what came of it? Tables of scores, and calibrators fitted to them.

Letters: n rows, F fields.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etalage.artefact import whole_file
from etalage.calibrate import (
    BY_FIELD,
    CALIBRATORS,
    Calibrator,
    FieldEffects,
    Table,
    choose,
    from_dict,
)
from etalage.calibrate.calibrator import Floats, log_odds, no_kind, sigmoid
from etalage.data.formats.source import columns_of, label, read_columns
from etalage.errors import BundleError, DataError, RecipeError, did_you_mean
from etalage.seeds import generator

EDGE = 1e-7
"""Probabilities of 0 and 1 are read as this and as what is left of 1."""
FORMAT = 1


@dataclass(frozen=True)
class ScoreColumns:
    """Which columns of a table mean what."""

    score: str
    label: str | None = None
    """1 where it was clicked, else 0."""
    fields: tuple[str, ...] = ()
    weight: str | None = None
    is_logit: bool = False
    """Whether scores are logits, and not probabilities."""
    cluster: str | None = None
    """Whose rows depend on one another: a game, a user."""


@dataclass(frozen=True)
class Scores:
    """Rows of a table."""

    logits: Floats  # (n,)
    clicks: Floats | None  # (n,)
    weights: Floats | None  # (n,)
    fields: dict[str, pl.Series]
    """Values as text, null where there is none."""
    clusters: NDArray[np.int64] | None = None
    """Codes, (n,); a row without a value is one of its own."""

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def probabilities(self) -> Floats:
        """What the ranker said, (n,)."""
        return sigmoid(self.logits)

    def part(self, rows: slice) -> Scores:
        """Some of the rows."""
        clicks, weights = (
            None if column is None else column[rows] for column in (self.clicks, self.weights)
        )
        clusters = None if self.clusters is None else self.clusters[rows]
        start, stop, _ = rows.indices(len(self))
        fields = {name: column[start:stop] for name, column in self.fields.items()}
        return Scores(self.logits[rows], clicks, weights, fields, clusters)

    def coded(self, field: str) -> tuple[NDArray[np.int64], list[str]]:
        """Values of a field as codes from 0, (n,), and what they stand for; rows without a value
        have that of empty text."""
        column = self.fields[field].fill_null("")
        return _codes(column), column.unique().sort().to_list()


def read_scores(source: Any, columns: ScoreColumns, encoding: str = "utf-8") -> Scores:
    """Reads the rows of a table (CSV, Parquet, JSON lines, a data frame) in its order.

    Raises:
        DataError: for a column that is missing or no number, a probability outside of [0, 1], a
            logit that is not finite, or a table without rows.
    """
    asked = [columns.score, columns.label, columns.weight, columns.cluster, *columns.fields]
    names = list(dict.fromkeys(name for name in asked if name is not None))
    frame = _read(source, names, encoding)
    scores = _numbers(frame, columns.score)
    if not columns.is_logit:
        if not ((scores >= 0) & (scores <= 1)).all():
            row = int(np.argmin((scores >= 0) & (scores <= 1)))
            raise DataError(
                f"row {row + 1:,} of {columns.score!r} is {scores[row]}: probabilities lie between "
                "0 and 1; for logits say so (--logits)"
            )
        scores = log_odds(scores.clip(EDGE, 1 - EDGE))
    clicks = None if columns.label is None else _numbers(frame, columns.label)
    weights = None if columns.weight is None else _numbers(frame, columns.weight)
    fields = {name: _cast(frame[name], pl.String) for name in columns.fields}
    clusters = None if columns.cluster is None else _clusters(frame[columns.cluster])
    return Scores(scores, clicks, weights, fields, clusters)


class ScoreCalibrator:
    """A calibrator with the columns that it reads and the values of its fields."""

    def __init__(
        self, calibrator: Calibrator, columns: ScoreColumns, values: dict[str, list[str]]
    ) -> None:
        self.calibrator, self.columns = calibrator, columns
        self.values = values
        """Known values of each field; the place of a value is its code."""

    @classmethod
    def fit(
        cls, scores: Scores, columns: ScoreColumns, kind: str = "auto", seed: int = 0
    ) -> ScoreCalibrator:
        """Fits a kind of calibrator; `auto` takes curves by value where fields are named, and else
        the curve that bears out best.

        Raises:
            RecipeError: for a kind that does not exist, or that does not go with fields.
            DataError: for rows that cannot be learnt from.
        """
        if kind != "auto" and kind not in CALIBRATORS:
            raise no_kind(kind, ["auto", *CALIBRATORS])
        if kind == FieldEffects.kind and not columns.fields:
            raise RecipeError("curves by value need a field; name one with --field")
        by_field = [each.kind for each in BY_FIELD]
        if kind not in ("auto", *by_field) and columns.fields:
            raise RecipeError(
                f"{kind} maps all rows alike; leave out --field, or take --kind "
                f"{' or --kind '.join(by_field)}"
            )
        if scores.clicks is None:
            raise DataError("there is no column of clicks to learn from; name one with --label")
        if kind == "auto" and not columns.fields:
            rng = generator(seed, "calibrator")
            return cls(choose(scores.logits, scores.clicks, rng, scores.weights), columns, {})
        if kind == "auto":
            kind = FieldEffects.kind
        values = {name: column.drop_nulls().unique(maintain_order=True).to_list()
                  for name, column in scores.fields.items()}  # fmt: skip
        fitted = cls(CALIBRATORS[kind](), columns, values)
        fitted.calibrator.fit(scores.logits, scores.clicks, fitted.context(scores), scores.weights)
        return fitted

    def read(self, source: Any, label: str | None = None, encoding: str = "utf-8") -> Scores:
        """Reads a table as `read_scores` does, by the columns that it was fitted on; without
        weights, which what is served has none of."""
        return read_scores(source, replace(self.columns, label=label, weight=None), encoding)

    def context(self, scores: Scores) -> NDArray[np.int64] | None:
        """Codes of the fields, (n, F); -1 for a value that is not known."""
        return self._coded(scores.fields) if self.values else None

    def _coded(self, fields: dict[str, pl.Series]) -> NDArray[np.int64]:
        coded = []
        for name, values in self.values.items():
            codes = dict(zip(values, range(len(values)), strict=True))
            column = fields[name].replace_strict(codes, default=-1, return_dtype=pl.Int64)
            coded.append(column.fill_null(-1).to_numpy())
        return np.column_stack(coded)

    def probability(self, scores: Scores) -> Floats:
        """Calibrated probabilities, (n,)."""
        return self.calibrator.probability(scores.logits, self.context(scores))

    def tabulated(
        self, error: float, source: Any = None, encoding: str = "utf-8"
    ) -> ScoreCalibrator:
        """The same as a `Table`, whose logits are off by at most `error`.

        It has the contexts of a table of fields; where there is one field, all of its values
        without one.

        Raises:
            RecipeError: for a table where there are no fields.
            DataError: for several fields without a table, and as `Table.of` does.
        """
        contexts = None
        if source is not None and not self.values:
            raise RecipeError("this calibrator maps all rows alike; leave out --contexts")
        if source is not None:
            frame = _read(source, list(self.values), encoding)
            contexts = self._coded({name: _cast(frame[name], pl.String) for name in self.values})
        elif len(self.values) == 1:
            contexts = np.arange(len(next(iter(self.values.values()))))[:, None]
        elif self.values:
            raise DataError(
                f"of {len(self.values)} fields there are too many contexts to keep them all; name "
                "a table of those that matter with --contexts"
            )
        table = Table.of(self.calibrator, contexts, error)
        return ScoreCalibrator(table, self.columns, self.values)

    def save(self, path: Path) -> None:
        """Writes it as JSON, at once or not at all."""
        columns = {
            "score": self.columns.score,
            "is_logit": self.columns.is_logit,
            "weight": self.columns.weight,
        }
        facts = {
            "etalage_calibrator": FORMAT,
            "columns": columns,
            "values": self.values,
            "calibrator": self.calibrator.to_dict(),
        }
        with whole_file(path) as draft:
            draft.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ScoreCalibrator:
        """Reads what `save` wrote; BundleError for what is none."""
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["etalage_calibrator"] != FORMAT:
                raise ValueError(f"its format is {facts['etalage_calibrator']!r}, not {FORMAT}")
            values = {str(name): [str(v) for v in held] for name, held in facts["values"].items()}
            weight = facts["columns"].get("weight")
            columns = ScoreColumns(
                str(facts["columns"]["score"]),
                fields=tuple(values),
                weight=None if weight is None else str(weight),
                is_logit=bool(facts["columns"]["is_logit"]),
            )
            return cls(from_dict(facts["calibrator"]), columns, values)
        except FileNotFoundError:
            raise BundleError(
                f"there is no calibrator {path}; `etalage calibrate fit` writes one"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"{path} is no calibrator that can be read ({error})") from error


def _read(source: Any, names: list[str], encoding: str) -> pl.DataFrame:
    """Some columns of a table; DataError where one is missing, or there are no rows."""
    known = columns_of(source, encoding)
    for name in names:
        if name not in known:
            raise DataError(
                f"{label(source)} has no column {name!r}{did_you_mean(name, known)} "
                f"(it has {', '.join(known)})"
            )
    frame = read_columns(source, names, encoding)
    if not len(frame):
        raise DataError(f"{label(source)} has no rows")
    return frame


def _numbers(frame: pl.DataFrame, name: str) -> Floats:
    column = frame[name]
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        truths = {"true": "1", "false": "0", "True": "1", "False": "0"}
        column = column.replace(truths)
    found = _cast(column, pl.Float64)
    if found.null_count():
        row = int(found.is_null().arg_max() or 0)
        raise DataError(
            f"row {row + 1:,} of {name!r} is {column[row]!r}, and no number"
            + (f"; so are {found.null_count() - 1:,} more" if found.null_count() > 1 else "")
        )
    return found.to_numpy()


def _codes(column: pl.Series) -> NDArray[np.int64]:
    """From 0, in the order of the values, of which none is null."""
    return column.rank("dense").cast(pl.Int64).to_numpy() - 1


def _clusters(column: pl.Series) -> NDArray[np.int64]:
    text = _cast(column, pl.String)
    alone = text.is_null().to_numpy()
    codes = _codes(text.fill_null(""))
    return np.where(alone, len(codes) + np.arange(len(codes)), codes)


def _cast(column: pl.Series, kind: type[pl.DataType]) -> pl.Series:
    try:
        return column.cast(kind, strict=False)
    except pl.exceptions.PolarsError:
        raise DataError(
            f"column {column.name!r} holds {column.dtype}, from which no "
            f"{'numbers' if kind == pl.Float64 else 'text'} can be read"
        ) from None
