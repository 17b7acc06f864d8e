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


def test_values_get_codes_and_numbers_are_standardised() -> None:
    vocabulary = ClickVocabulary.learn(CLICKS)
    table = vocabulary.table(CLICKS)
    assert dict(table.sizes) == {"shop": 3, "shelf": 4}
    assert table.categories.tolist() == [[1, 1], [2, 1], [1, 2], [0, 3]]
    assert table.number_names == ("price",)
    assert table.numbers[:, 0].tolist() == [-1.0, 1.0, 0.0, 0.0]
    assert table.labels.tolist() == [0, 1, 0, 1]


def test_what_training_never_saw_is_unknown() -> None:
    vocabulary = ClickVocabulary.learn(CLICKS)
    later = pl.DataFrame({"shop": ["c", "b"], "shelf": [8, 9], "price": [2.0, None]})
    table = vocabulary.table(later)
    assert table.categories.tolist() == [[0, 0], [2, 2]]
    assert table.clicks is None
    with pytest.raises(DataError, match=r"fields \['price'\] are not in the table"):
        vocabulary.table(later.drop("price"))


def test_rare_values_are_unknown() -> None:
    table = ClickVocabulary.learn(CLICKS, rare=2).table(CLICKS)
    assert table.categories.tolist() == [[1, 1], [0, 1], [1, 0], [0, 0]]


def test_a_table_without_fields_is_refused() -> None:
    with pytest.raises(DataError, match="no field"):
        ClickVocabulary.learn(CLICKS.select("label"))


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
        ("schema.json", b'{"etalage_table": 2}'),
        ("schema.json", b'{"etalage_table": 9}'),
        ("schema.json", b'{"etalage_table": 2, "sizes": {"a": 1}, "number_names": []}'),
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
