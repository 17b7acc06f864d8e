"""Columns of codes and numbers: shapes, files, and what a value never seen becomes."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import etalage
from etalage.data.features import FeatureTable
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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("numbers.npy", b"cut"),
        ("numbers.npy", b""),
        ("numbers.npy", None),
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
    path.write_bytes(content) if content is not None else path.unlink()
    with pytest.raises(BundleError, match=r"no feature table can be read.*save it again"):
        FeatureTable.load(tmp_path / "table")


def test_columns_that_do_not_fit_are_refused() -> None:
    codes, numbers = np.zeros((3, 1), np.int32), np.zeros((3, 0), np.float32)
    with pytest.raises(DataError, match=r"expected \(3, 2\)"):
        FeatureTable({"a": 2, "b": 2}, codes, (), numbers)
    with pytest.raises(DataError, match=r"outside its vocabulary in \['a'\]"):
        FeatureTable({"a": 2}, codes + 2, (), numbers)
    with pytest.raises(DataError, match="clicks has 2 rows"):
        FeatureTable({"a": 2}, codes, (), numbers, clicks=np.zeros(2, np.int8))
    with pytest.raises(DataError, match="numbers have shape"):
        FeatureTable({"a": 2}, codes, ("x",), numbers)
