"""What does a ranker read? Columns of codes and numbers with a label, in memory or on disk.

Letters: R rows (impressions), F category fields, M numbers, L history length, W places of bags.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from etalage import __version__
from etalage.artefact import Kind, whole_folder
from etalage.data.ragged import check_items
from etalage.errors import BundleError, DataError

Columns = dict[str, NDArray[Any]]
Sum = tuple[str, tuple[int, ...], str]
"""A block's name, shape and sha256."""
VERSION = 3
OTHER_BLOCKS = ("clicks", "history", "groups", "bags")
TABLE = Kind("feature table", "schema.json", "etalage_table")


@dataclass(frozen=True)
class FeatureTable:
    """Rows for a ranker. Code 0 of every category field and bag means that there is no value."""

    sizes: Mapping[str, int]
    """Category fields in column order and how many codes each has, code 0 included."""
    categories: NDArray[np.int32]  # (R, F)
    number_names: tuple[str, ...]
    numbers: NDArray[np.float32]  # (R, M)
    clicks: NDArray[np.int8] | None = None  # (R,) 0 or 1
    history: NDArray[np.int32] | None = None
    """Newest items before each row, (R, L), left-padded with -1; item i has code i + 1 of the
    first category field."""
    groups: NDArray[np.int32] | None = None
    """Person of each row, (R,), for measures within a person; never a feature."""
    bag_forms: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Fields of several values at once: how many codes each has, and the most values in a row."""
    bags: NDArray[np.int32] | None = None
    """Their codes side by side, (R, W), those of a row in any place of its bag."""
    vocabulary: str = ""
    """Hash of the vocabulary that gave the codes; empty where there was none."""
    is_checked: InitVar[bool] = False
    """Whether the codes are known to be good: reading them all takes long in a large table."""

    def __post_init__(self, is_checked: bool) -> None:
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
        for name in OTHER_BLOCKS:
            column = getattr(self, name)
            if column is not None and len(column) != n_rows:
                raise DataError(f"{name} has {len(column)} rows, the table {n_rows}")
        places = [length for _, length in self.bag_forms.values()]
        if (self.bags is None) != (not places) or (
            self.bags is not None and self.bags.shape[1] != sum(places)
        ):
            shape = None if self.bags is None else self.bags.shape
            raise DataError(f"bags have shape {shape}; expected ({n_rows}, {sum(places)})")
        if not is_checked:
            self._check_values()

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
        return _hash_of(
            self.form(),
            (
                (name, block.shape, sha256(np.ascontiguousarray(block).data).hexdigest())
                for name, block in self.blocks().items()
            ),
        )

    def form(self) -> dict[str, Any]:
        """What the columns are, JSON-ready."""
        return {
            "sizes": dict(self.sizes),
            "number_names": list(self.number_names),
            "bag_forms": {name: list(form) for name, form in self.bag_forms.items()},
        }

    def take(self, rows: NDArray[np.integer] | slice) -> FeatureTable:
        """Returns some of the rows."""
        some: Any = {name: block[rows] for name, block in self.blocks().items()}
        return replace(self, is_checked=True, **some)

    def save(self, folder: Path) -> None:
        """Writes one npy a block and `schema.json`, at once or not at all.

        Raises:
            DataError: when the folder holds something else.
        """
        with table_writer(folder) as add:
            add(self)

    @classmethod
    def load(cls, folder: Path) -> FeatureTable:
        """Maps what `save` wrote into memory; rows are read when they are used, and neither
        checked nor hashed again.

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
                # copy on write: torch takes no array that it may not write to
                path.stem: np.load(path, mmap_mode="c", allow_pickle=False)
                for path in folder.glob("*.npy")
            }
            forms = {name: tuple(form) for name, form in schema["bag_forms"].items()}
            table = cls(
                sizes=schema["sizes"],
                number_names=tuple(schema["number_names"]),
                bag_forms=forms,
                vocabulary=schema["vocabulary"],
                is_checked=True,
                **blocks,
            )
            vars(table)["hash"] = str(schema["data_hash"])
            return table
        except (OSError, EOFError, ValueError, KeyError, TypeError, DataError) as error:
            raise BundleError(
                f"no feature table can be read from {folder} ({error!r}); save it again"
            ) from error

    def blocks(self) -> Columns:
        """All columns of one row each, by name."""
        blocks = {name: getattr(self, name) for name in ("categories", "numbers", *OTHER_BLOCKS)}
        return {name: block for name, block in blocks.items() if block is not None}

    def _check_values(self) -> None:
        _check_codes(self.categories, self.sizes)
        if self.bags is not None:
            ends = np.cumsum([length for _, length in self.bag_forms.values()])[:-1]
            parts = np.split(self.bags, ends, axis=1)
            for (name, (size, _)), codes in zip(self.bag_forms.items(), parts, strict=True):
                _check_codes(codes.reshape(-1, 1), {name: size})
        if self.history is not None and self.sizes:
            check_items(self.history, next(iter(self.sizes.values())) - 1, "a history")
        # an end of a column that is no number shows that one is in it, without a copy of all
        extremes = [self.numbers.min(0), self.numbers.max(0)] if len(self) else []
        if not np.isfinite(extremes).all():
            row, column = np.argwhere(~np.isfinite(self.numbers))[0]
            raise DataError(
                f"{self.number_names[column]} is {self.numbers[row, column]} in row {row}, which "
                "no network can learn from; fill what is missing first"
            )


class _BlockFile:
    """An npy file that grows: its header has room for any number of rows."""

    def __init__(self, name: str, file: BinaryIO, first: NDArray[Any]) -> None:
        self.name, self.file, self.digest = name, file, sha256()
        self.dtype, self.shape = first.dtype, (0, *first.shape[1:])
        self._write_header()

    def add(self, block: NDArray[Any]) -> None:
        if (block.dtype, block.shape[1:]) != (self.dtype, self.shape[1:]):
            raise DataError(
                f"{self.name} of a part has {block.dtype} {block.shape}; the first part of the "
                f"table had {self.dtype} and rows of {self.shape[1:]}"
            )
        data = np.ascontiguousarray(block).data
        self.file.write(data)
        self.digest.update(data)
        self.shape = (self.shape[0] + len(block), *self.shape[1:])

    def end(self) -> Sum:
        """Completes the file; returns what `_hash_of` needs of it."""
        self.file.seek(0)
        self._write_header()
        return self.name, self.shape, self.digest.hexdigest()

    def _write_header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self.file, header)


@contextmanager
def table_writer(folder: Path) -> Iterator[Callable[[FeatureTable], None]]:
    """Yields a function that takes tables one after the other; together they become the one that
    `FeatureTable.load` maps, at once or not at all. Only the table being written is in memory.

    Raises:
        DataError: when the folder holds something else, a table has other columns than the first,
            or there is none.
    """
    form: dict[str, Any] = {}
    files: dict[str, _BlockFile] = {}
    with whole_folder(folder, TABLE) as draft, ExitStack() as opened:

        def add(table: FeatureTable) -> None:
            blocks = table.blocks()
            if not files:
                form.update(table.form(), vocabulary=table.vocabulary)
                for name, block in blocks.items():
                    file = opened.enter_context((draft / f"{name}.npy").open("wb"))
                    files[name] = _BlockFile(name, file, block)
            if [*blocks] != [*files] or form != {**table.form(), "vocabulary": table.vocabulary}:
                raise DataError(
                    f"a part of the table for {folder} has other columns than the first: "
                    f"{table.form()} with {[*blocks]}"
                )
            for name, block in blocks.items():
                files[name].add(block)

        yield add
        if not files:
            raise DataError(f"there is no row for the table {folder}")
        sums = [file.end() for file in files.values()]
        schema = {
            "etalage_table": VERSION,
            "library_version": __version__,
            "data_hash": _hash_of(form, sums),
            **form,
        }
        (draft / "schema.json").write_text(
            json.dumps(schema, indent=1, ensure_ascii=False), encoding="utf-8"
        )


def _hash_of(form: Mapping[str, Any], sums: Iterable[Sum]) -> str:
    columns = {name: part for name, part in form.items() if name != "vocabulary"}
    return sha256(json.dumps([columns, *sums]).encode()).hexdigest()[:16]


def _check_codes(codes: NDArray[np.int32], sizes: Mapping[str, int]) -> None:
    """Raises DataError where a column (R, F) of codes holds one that its field does not have."""
    if not len(codes):
        return
    # one sweep over whole rows: a sweep a column reads every page of a mapped table F times
    inside = (codes.min(0) >= 0) & (codes.max(0) < np.array([*sizes.values()]))
    if not inside.all():
        names = [name for name, good in zip(sizes, inside, strict=True) if not good]
        asked = {name: sizes[name] for name in names}
        raise DataError(f"a code lies outside its vocabulary in {names}; sizes: {asked}")
