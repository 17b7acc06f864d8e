"""Which code is this value? Learnt from training rows of a click table, used on all others.

Letters: R rows, W places of bags.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from pydantic import TypeAdapter

from etalage import __version__
from etalage.artefact import Kind, sha256_of, whole_folder
from etalage.data.features import FeatureTable, table_writer
from etalage.data.fields import (
    LARGEST,
    Bag,
    Category,
    FieldKind,
    Fields,
    Number,
    fields_of,
    keys_of,
    refuse,
)
from etalage.data.formats.raw import zeros_and_ones
from etalage.data.tally import Tally, tally_of
from etalage.errors import BundleError, DataError

VERSION = 1
VOCABULARY = Kind("vocabulary", "vocabulary.json", "etalage_vocabulary")
VALUES = "values.parquet"
KINDS = TypeAdapter(dict[str, FieldKind])


@dataclass(frozen=True)
class ClickVocabulary:
    """Which code is this value? Learnt from training rows of a click table, used on all others."""

    fields: Fields
    """The columns that are read, in the order of the tables made; others are left out."""
    learnt: Mapping[str, pl.Series]
    """What each field learnt: known values in order of code; of a quantile field the largest
    number of each bin but the last; of a number the mean and the deviation."""
    person: str | None = None
    """Category field that names a person; its codes become the groups of tables, where each row of
    a person that is not known is a group of its own."""

    def __post_init__(self) -> None:
        _check_declared(self.fields, self.person)

    @classmethod
    def learn(
        cls,
        frames: pl.DataFrame | Iterable[pl.DataFrame],
        fields: Fields | None = None,
        *,
        person: str | None = None,
    ) -> ClickVocabulary:
        """Reads training rows, in one frame or part by part; only counts are kept.

        Without `fields`, fractional columns are numbers and all others categories. Known values
        get codes by falling count, then by their text, so the order of rows changes nothing.

        Raises:
            DataError: where `keys_of` does, for no rows, and for labels that are all the same.
        """
        tallies: dict[str, Tally] = {}
        labels: set[int] = set()
        n = 0
        for frame in [frames] if isinstance(frames, pl.DataFrame) else frames:
            fields = fields_of(frame) if fields is None else fields
            if not tallies:  # a long log should not be read before a slip in these is told
                _check_declared(fields, person)
                tallies = {name: tally_of(kind) for name, kind in fields.items()}
            keys = keys_of(frame, fields, n)
            sums = keys.select(t.sums(pl.col(name)).alias(name) for name, t in tallies.items())
            for name, tally in tallies.items():
                tally.add(sums[name])
            if "label" in frame.columns:
                labels |= set(_labels(frame, n).unique())
            n += len(frame)
        if not n or fields is None:
            raise DataError("there are no rows to learn a vocabulary from")
        if len(labels) == 1:
            raise DataError(
                f"the label is {labels.pop()} in all {n:,} training rows; there is nothing to "
                "learn to tell apart"
            )
        return cls(dict(fields), {name: tally.learnt() for name, tally in tallies.items()}, person)

    @cached_property
    def hash(self) -> str:
        """16 hex digits: the same fields and values, the same hash."""
        digest = sha256(json.dumps([KINDS.dump_python(dict(self.fields)), self.person]).encode())
        for name, values in self.learnt.items():
            digest.update(json.dumps([name, str(values.dtype), values.to_list()]).encode())
        return digest.hexdigest()[:16]

    def table(self, frame: pl.DataFrame, *, first_row: int = 0) -> FeatureTable:
        """Codes rows; `first_row` rows came before them, where they are a part of more.

        Raises:
            DataError: where `keys_of` does, for labels other than 0 and 1, and for a category of
                true and false here and of anything else in training, or the other way round.
        """
        keys = keys_of(frame, self.fields, first_row)
        numbers, codes, bags = {}, {}, {}
        for name, kind in self.fields.items():
            key, values = pl.col(name), self.learnt[name]
            if isinstance(kind, Number):
                numbers[name] = _standard(keys[name], values, first_row)
            elif isinstance(kind, Bag):
                for place in range(kind.length):
                    one = key.list.get(place, null_on_oob=True)
                    bags[f"{name} {place}"] = kind.code(one, values)
            else:
                if keys[name].dtype != values.dtype:  # the same ids, as numbers here and text there
                    _check_truth(keys[name], values)
                    key, values = key.cast(pl.String), values.cast(pl.String)
                codes[name] = kind.code(key, values)
        categories = _block(keys.select(**codes), len(frame), np.int32)
        groups = None
        if self.person is not None:
            people = categories[:, [*codes].index(self.person)]
            is_known = (people > 0) & (people <= len(self.learnt[self.person]))
            groups = np.where(is_known, people, -1 - first_row - np.arange(len(frame)))
        return FeatureTable(
            {name: self.n_codes(name) for name in codes},
            categories,
            tuple(numbers),
            _block(pl.DataFrame(numbers), len(frame), np.float32),
            clicks=_labels(frame, first_row).to_numpy() if "label" in frame.columns else None,
            groups=None if groups is None else groups.astype(np.int32),
            bag_forms={
                name: (self.n_codes(name), kind.length)
                for name, kind in self.fields.items()
                if isinstance(kind, Bag)
            },
            bags=_block(keys.select(**bags), len(frame), np.int32) if bags else None,
            vocabulary=self.hash,
            is_checked=True,
        )

    def write(self, frames: Iterable[pl.DataFrame], folder: Path) -> FeatureTable:
        """Codes rows part by part into a folder, at once or not at all; returns them mapped.

        Raises:
            DataError: where `table` does, for no rows, and when the folder holds something else.
        """
        n = 0
        with table_writer(folder) as add:
            for frame in frames:
                add(self.table(frame, first_row=n))
                n += len(frame)
        return FeatureTable.load(folder)

    def n_codes(self, name: str) -> int:
        """How many codes a field has: 0 for no value, one a value or bin, and one for any other.

        A number always lies in a bin, so the last bin of a quantile field has that code.
        """
        return len(self.learnt[name]) + 2

    def check(self, table: FeatureTable) -> None:
        """Raises DataError unless this vocabulary gave the codes of a table."""
        if table.vocabulary != self.hash:
            of = f"by vocabulary {table.vocabulary}" if table.vocabulary else "without a vocabulary"
            raise DataError(
                f"the table was coded {of}, and this is vocabulary {self.hash}: the same code "
                "means different things; load the vocabulary that was saved for the table"
            )

    def save(self, folder: Path) -> None:
        """Writes `vocabulary.json` and the values, at once or not at all.

        Raises:
            DataError: when the folder holds something else.
        """
        with whole_folder(folder, VOCABULARY) as draft:
            pl.DataFrame([s.implode().alias(n) for n, s in self.learnt.items()]).write_parquet(
                draft / VALUES
            )
            facts = {
                "etalage_vocabulary": VERSION,
                "library_version": __version__,
                "hash": self.hash,
                "fields": KINDS.dump_python(dict(self.fields)),
                "person": self.person,
                "files": {VALUES: sha256_of(draft / VALUES)},
            }
            (draft / VOCABULARY.marker).write_text(
                json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8"
            )

    @classmethod
    def load(cls, folder: Path) -> ClickVocabulary:
        """Reads what `save` wrote.

        Raises:
            BundleError: when it is not there, broken, or of another version.
        """
        try:
            facts = json.loads((folder / VOCABULARY.marker).read_text(encoding="utf-8"))
            if facts["etalage_vocabulary"] != VERSION:
                raise ValueError(
                    f"it has version {facts['etalage_vocabulary']}, this Etalage reads {VERSION}"
                )
            frame = pl.read_parquet(folder / VALUES)
            fields = KINDS.validate_python(facts["fields"])
            learnt = {name: frame[name].item() for name in fields}
            vocabulary = cls(fields, learnt, facts["person"])
            if vocabulary.hash != facts["hash"]:
                raise ValueError(f"its values are of another vocabulary than {facts['hash']}")
            return vocabulary
        except (OSError, ValueError, KeyError, TypeError, DataError, PolarsError) as error:
            why = repr(error).splitlines()[0]
            raise BundleError(
                f"no vocabulary can be read from {folder} ({why}); save it again"
            ) from error


def _check_declared(fields: Fields, person: str | None) -> None:
    if not fields:
        raise DataError("no field is named to predict the label from")
    if "label" in fields:
        raise DataError("the label is among the fields; it cannot be predicted from itself")
    if person is not None and not isinstance(fields.get(person), Category):
        raise DataError(f"the person {person!r} is no category field; fields are {[*fields]}")


def _check_truth(keys: pl.Series, values: pl.Series) -> None:
    """Refuses true for 1, and text for true: all of it would be unknown, and nobody told."""
    has_both = keys.null_count() < len(keys) and len(values) > 0
    if has_both and pl.Boolean in (keys.dtype, values.dtype):
        raise DataError(
            f"column {keys.name!r} is of type {keys.dtype}, and was of type {values.dtype} in "
            "training; give it the type it was learnt in"
        )


def _labels(frame: pl.DataFrame, first_row: int) -> pl.Series:
    return zeros_and_ones(
        frame["label"], "the label", "Correct or remove these rows", first_row=first_row
    )


def _standard(numbers: pl.Series, moments: pl.Series, first_row: int) -> pl.Series:
    mean, deviation = moments
    scaled = (numbers.fill_null(mean) - mean) / deviation
    refuse(numbers, scaled.abs() > LARGEST, first_row, "too far from its training mean for float32")
    return scaled


def _block(columns: pl.DataFrame, n_rows: int, dtype: type[np.generic]) -> NDArray[Any]:
    """Columns side by side, (R, W), row after row."""
    if not columns.width:
        return np.zeros((n_rows, 0), dtype)
    return np.ascontiguousarray(columns.to_numpy(order="c"), dtype)
