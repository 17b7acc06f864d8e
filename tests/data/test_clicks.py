"""Click tables of any form become a label and fields."""

from pathlib import Path

import polars as pl
import pytest
from tests.realdata import need

from etalage.data.formats.clicks import read_clicks
from etalage.errors import DataError


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_table_with_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "ads.csv", "device,Click,price,hour\nphone,1,0.5,07\nweb,0,,12\n")
    frame = read_clicks(path)
    assert frame.columns == ["label", "device", "price", "hour"]
    assert frame.rows() == [(1, "phone", 0.5, "07"), (0, "web", None, "12")]
    assert frame["label"].dtype == pl.Int8
    assert read_clicks(pl.read_csv(path), click="Click")["label"].to_list() == [1, 0]


def test_a_table_without_a_header_has_the_label_first(tmp_path: Path) -> None:
    frame = read_clicks(write(tmp_path, "train.txt", "0\t3\t\t68fd\n1\t-1\t5\t\n"))
    assert frame.columns == ["label", "field_1", "field_2", "field_3"]
    assert frame.rows() == [(0, 3, None, "68fd"), (1, -1, 5, None)]


def test_libsvm_lines_have_a_field_a_place(tmp_path: Path) -> None:
    frame = read_clicks(write(tmp_path, "a.libsvm", "1 7:1 9:0.5\n0 8:1 9:2\n"))
    assert frame.to_dict(as_series=False) == {
        "label": [1, 0],
        "field_1": [7, 8],
        "field_2": [9, 9],
        "field_2_value": [0.5, 2.0],
    }
    frame = read_clicks(write(tmp_path, "a.ffm", "-0 4:7:1 6:9:1\n1 4:8:1 6:9:1\n"))
    assert frame.columns == ["label", "field_4", "field_6"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "user,lable\n1,0\n", r"cannot tell .* is the label; did you mean 'lable'"),
        ("a.csv", "label,user\n1,5\nNaN,5\n", r"not 0 or 1 in 1 of 2 rows; .* row 2: 'NaN'"),
        ("a.csv", "label,user\n1,5\n,5\n", r"not 0 or 1 in 1 of 2 rows; .* row 2: None"),
        ("a.csv", "label,user\n3,5\n", r"row 1: 3"),
        ("a.csv", "label,user\n", "has no rows"),
        ("a.svm", "1 7:1 9:1\n0 8:1\n", r"row 2: 1 features where row 1 has 2"),
        ("a.svm", "1 7:1\n0 x:1\n", r"row 2: 'x:1' is not index:value"),
        ("a.ffm", "1 1:7:1\n0 2:7:1\n", r"entry 1 belongs to different fields"),
        ("a.svm", "", "is empty"),
    ],
)
def test_bad_click_tables_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_clicks(write(tmp_path, name, text))


def test_a_label_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"label column 'clik' not found .*did you mean 'click'"):
        read_clicks(write(tmp_path, "a.csv", "click,user\n1,2\n"), click="clik")


@pytest.mark.realdata
def test_public_click_tables_read_whole() -> None:
    criteo = read_clicks(need("ctr/criteo-10k/train_examples.txt"))
    assert criteo.shape == (10_000, 40)
    assert criteo["field_1"].dtype == pl.Int64
    assert criteo["field_39"].dtype == pl.String
    frappe = read_clicks(need("ctr/frappe_x1r/valid.csv.gz"))
    assert frappe.columns[:3] == ["label", "user", "item"]
    assert frappe["label"].mean() == pytest.approx(1 / 3, abs=0.02)
