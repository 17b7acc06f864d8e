"""Columns of codes and numbers: shapes, files, and what a value never seen becomes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import etalage
from etalage.data.features import FeatureTable, table_writer
from etalage.data.vocabulary import ClickVocabulary
from etalage.errors import BundleError, DataError

CLICKS = pl.DataFrame(
    {
        "label": [0, 1, 0, 1],
        "shop": ["a", "b", "a", None],
        "shelf": [7, 7, 9, 11],
        "price": [1.0, 3.0, None, 2.0],
    }
)
CUT = b"all but the last byte"


def test_a_stored_table_is_mapped_and_equal(tmp_path: Path) -> None:
    table = ClickVocabulary.learn(CLICKS).table(CLICKS)
    table.save(tmp_path / "table")
    loaded = FeatureTable.load(tmp_path / "table")
    assert isinstance(loaded.categories, np.memmap)
    assert loaded.categories.tolist() == table.categories.tolist()
    assert loaded.take([2, 0]).labels.tolist() == [0, 0]
    assert loaded.history is None
    assert loaded.hash == table.hash
    schema = json.loads((tmp_path / "table" / "schema.json").read_text())
    assert (schema["library_version"], schema["data_hash"]) == (etalage.__version__, table.hash)


def test_opening_a_table_reads_no_rows(tmp_path: Path) -> None:
    """Its hash is the one that was written, and its codes were good when they were."""
    table = ClickVocabulary.learn(CLICKS).table(CLICKS)
    table.save(tmp_path / "table")
    codes = np.load(tmp_path / "table" / "categories.npy")
    np.save(tmp_path / "table" / "categories.npy", codes + 90)
    loaded = FeatureTable.load(tmp_path / "table")
    assert loaded.hash == table.hash
    assert loaded.take(slice(0, 4)).hash != table.hash
    assert table.take(slice(0, 4)).hash == table.hash


def write(folder: Path, *tables: FeatureTable) -> None:
    with table_writer(folder) as add:
        for table in tables:
            add(table)


def test_tables_written_one_after_the_other_are_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = FeatureTable(
        {"a": 9, "b": 5},
        rng.integers(0, 5, (50, 2)).astype(np.int32),
        (),
        np.zeros((50, 0), np.float32),
        clicks=rng.integers(0, 2, 50).astype(np.int8),
        history=rng.integers(-1, 8, (50, 3)).astype(np.int32),
        groups=np.arange(50, dtype=np.int32),
        bag_forms={"c": (4, 2)},
        bags=rng.integers(0, 4, (50, 2)).astype(np.int32),
    )
    parts = (slice(0, 7), slice(7, 7), slice(7, 50))
    write(tmp_path / "table", *map(table.take, parts))
    loaded = FeatureTable.load(tmp_path / "table")
    assert {n: b.tolist() for n, b in loaded.blocks().items()} == {
        n: b.tolist() for n, b in table.blocks().items()
    }
    assert loaded.hash == loaded.take(slice(0, 50)).hash == table.hash


def test_parts_that_do_not_fit_leave_what_was_there(tmp_path: Path) -> None:
    table = ClickVocabulary.learn(CLICKS).table(CLICKS)
    table.save(tmp_path / "table")
    codes, none = table.categories[:, :1], np.zeros((4, 0), np.float32)
    wide = FeatureTable({"shop": 4}, codes, (), none, clicks=table.clicks)
    plain = replace(table, clicks=None)
    double: Any = table.numbers.astype(np.float64)
    for other, message in (
        (wide, "other columns than the first"),
        (plain, "other columns than the first"),
        (replace(table, vocabulary=""), "other columns than the first"),
        (replace(table, numbers=double), r"numbers of a part has float64 .* had float32"),
    ):
        with pytest.raises(DataError, match=message):
            write(tmp_path / "table", table.take(slice(0, 1)), other)
        assert FeatureTable.load(tmp_path / "table").hash == table.hash
    with pytest.raises(DataError, match="no row for the table"):
        write(tmp_path / "table")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("numbers.npy", b"cut"),
        ("numbers.npy", b""),
        ("numbers.npy", None),
        ("clicks.npy", CUT),
        ("schema.json", b"{"),
        ("schema.json", b"[]"),
        ("schema.json", b"\xff"),
        ("schema.json", b'{"etalage_table": 3}'),
        ("schema.json", b'{"etalage_table": 9}'),
        ("schema.json", b'{"etalage_table": 3, "sizes": {"a": 1}, "number_names": []}'),
        ("schema.json", None),
        ("views.npy", b"\x93NUMPY"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    ClickVocabulary.learn(CLICKS).table(CLICKS).save(tmp_path / "table")
    path = tmp_path / "table" / name
    if content is CUT:
        content = path.read_bytes()[:-1]
    path.write_bytes(content) if content is not None else path.unlink()
    with pytest.raises(BundleError, match=r"no feature table can be read.*save it again"):
        FeatureTable.load(tmp_path / "table")


def test_columns_that_do_not_fit_are_refused() -> None:
    codes, numbers = np.zeros((3, 1), np.int32), np.zeros((3, 0), np.float32)
    with pytest.raises(DataError, match=r"expected \(3, 2\)"):
        FeatureTable({"a": 2, "b": 2}, codes, (), numbers)
    with pytest.raises(DataError, match=r"outside its vocabulary in \['a'\]"):
        FeatureTable({"a": 2}, codes + 2, (), numbers)
    with pytest.raises(DataError, match=r"x is nan in row 2, .*fill what is missing"):
        FeatureTable({"a": 2}, codes, ("x",), np.array([[1], [2], [np.nan]], np.float32))
    with pytest.raises(DataError, match="clicks has 2 rows"):
        FeatureTable({"a": 2}, codes, (), numbers, clicks=np.zeros(2, np.int8))
    with pytest.raises(DataError, match="numbers have shape"):
        FeatureTable({"a": 2}, codes, ("x",), numbers)
