"""Logs come in as they are, and what is wrong with them is said plainly."""

import gzip
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.realdata import need

from etalage.data.ingest import open_dataset
from etalage.errors import DataError

GOOD = "user,item,time\nann,mug,1700000000\nbob,pot,1700000100\nann,pot,1700000200\n"


def write(folder: Path, text: str | bytes, name: str = "clicks.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_becomes_a_dataset(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, GOOD))
    assert (data.n_users, data.n_items, len(data.interactions)) == (2, 2, 3)
    assert data.users.ids == ["ann", "bob"]
    assert data.interactions.items.tolist() == [0, 1, 1]
    assert data.interactions.times[0] == 1_700_000_000_000


def test_the_order_of_the_file_does_not_change_the_ids(tmp_path: Path) -> None:
    head, *rows = GOOD.splitlines()
    turned = open_dataset(write(tmp_path, "\n".join([head, *rows[::-1]]) + "\n"))
    assert turned.users == open_dataset(write(tmp_path, GOOD)).users


@pytest.mark.parametrize(
    ("times", "first"),
    [
        ([1_700_000_000, 1_700_000_001], 1_700_000_000_000),
        ([1_700_000_000_000, 1_700_000_000_001], 1_700_000_000_000),
        ([1_700_000_000_000_000, 1_700_000_000_000_999], 1_700_000_000_000),
        ([1.7e9 + 0.5, 1.7e9 + 1], 1_700_000_000_500),
        (["2023-11-14T22:13:20", "2023-11-15T00:00:00"], 1_700_000_000_000),
        ([20231114221320, 20231114221321], 1_700_000_000_000),
        (["20231114221320", "20231115000000"], 1_700_000_000_000),
        ([202311142213, 202311142214], 1_699_999_980_000),
        ([20231114, 20240229], 1_699_920_000_000),
        ([20231114.0, 20240229.0], 1_699_920_000_000),
        ([20_231_114, 20_231_199], 20_231_114),  # no dates: positions
        ([20_231_114, 90_000_000], 20_231_114),
        ([0, 1], 0),
    ],
)
def test_times_of_any_unit_become_milliseconds(times: list, first: int) -> None:
    frame = pl.DataFrame({"u": [1, 1], "i": [5, 6], "t": times})
    data = open_dataset(frame, user="u", item="i", time="t")
    assert data.interactions.times[0] == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user,item,tiem\n1,2,3\n",
            r"cannot tell which column.*is the time; did you mean 'tiem'.*--time COLUMN",
        ),
        ("", r"is empty \(0 bytes\)"),
        ("user,item,time\n", "has a header but no rows"),
        ("user,item,time\n1,2,-5\n", r"is negative in 1 of 1 rows; the first is row 1: -5"),
        (
            "user,item,time\n1,2,1700000000\n1,3,1700000000000\n",
            "mixes units: 1 values read as milliseconds .* row 2.*, 1 as seconds .* row 1",
        ),
        (
            "user,item,time\n1,2,20240131120000\n1,3,20240230120000\n1,4,20240301120000\n",
            r"no moment of the calendar \(YYYYMMDDHHMMSS.* 1 of 3 rows; .* row 2: 20240230120000",
        ),
        (
            "user,item,time\n1,2,20240131\n1,3,20240229\n1,4,20240230\n",
            r"no moment of the calendar \(YYYYMMDD, .* 1 of 3 rows; .* row 3: 20240230",
        ),
        ("user,item,time\n1,2,5\n1,3,soon\n", "is no time .* row 1: '5'"),
        ("user,item,time\n1,2,\n", "'time' of clicks.csv has no value in 1 of 1 rows"),
        ("user,item,time\n1,2,nan\n", "is not a finite number"),
        ("user,item,time\n1,,5\n", "item column 'item' of clicks.csv has no id in 1 of 1 rows"),
        ("user,item,time,rating\n1,2,5,NaN\n", "is not a number in 1 of 1 .* row 1: 'NaN'"),
        ("user,item,time,rating\n1,2,5,\n", "is not a number in 1 of 1 .* row 1: None"),
        ("user,item,time,count\n1,2,5,\n", "go without one: --value none"),
        ("user,item,time,rating\n1,2,5,4\n1,3,5,good\n", "is not a number .* row 2: 'good'"),
        ("user,item,time\n1,2,5\n1,2,5,6,7\n", "as many cells as the header"),
        ("ann,mug,1700000000\n", "columns are 'column_1', 'column_2', 'column_3'"),
        (
            b"user,item,time\n1,caf\xe9,5\n",
            r"not UTF-8 text: byte 0xe9 at position 20, line 2; .*--encoding latin-1",
        ),
        (GOOD.encode("utf-16"), r"not UTF-8 text: byte 0xff at position 0, line 1"),
    ],
)
def test_bad_tables_are_refused_with_help(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        open_dataset(path)
    assert path.read_bytes() == (text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("user", [1.0, float("nan")], "user column 'user' of the data frame has no id .* row 2"),
        ("user", [1.5, 2.0], "fractional"),
        ("item", [None, "a"], "item column 'item' .* has no id .* row 1"),
        ("item", [True, False], "is of type Boolean; ids must be text or whole numbers"),
        ("time", [1.0, float("inf")], "is not a finite number in 1 of 2 rows; the first is row 2"),
        ("time", [True, False], "is of type Boolean; expected numbers"),
        ("time", [datetime(1960, 1, 1), datetime(2020, 1, 1)], "is before 1970 in 1 of 2"),
        ("time", [0, 1_700_000_000_000], "mixes units"),
        ("value", [1.0, float("nan")], "value column 'value' .* is not a number .* row 2: nan"),
    ],
)
def test_wrong_types_in_a_data_frame_are_named(column: str, values: list, message: str) -> None:
    good = {"user": [1, 2], "item": ["a", "b"], "time": [1, 2], "value": [1.0, 2.0]}
    with pytest.raises(DataError, match=message):
        open_dataset(pl.DataFrame(good | {column: values}, strict=False))


def test_text_in_another_encoding_is_read_when_told(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,time\n1,café,5\n2,thé,6\n".encode("latin-1"))
    assert open_dataset(path, encoding="latin-1").items.ids == ["café", "thé"]
    with pytest.raises(DataError, match="unknown text encoding 'latin-one'"):
        open_dataset(path, encoding="latin-one")


def test_ids_keep_their_text_where_a_number_would_lose_it(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, "user,item,time\n007,1,5\n7,2,6\n"))
    assert data.users.ids == ["007", "7"]
    assert data.items.ids == [1, 2]


def test_a_table_without_times_is_in_order_of_its_rows(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, "uid;sku\nann;mug\nbob;pot\nann;tea\n"), time="none")
    assert data.interactions.times.tolist() == [0, 2, 1]


def test_ratings_with_a_gap_can_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,time,rating\n1,2,5,\n1,3,6,4\n")
    data = open_dataset(path, value="none")
    assert data.interactions.values is None
    assert data.interactions.items.tolist() == [0, 1]
    data = open_dataset(path, value="none", time="none")
    assert (data.interactions.values, data.interactions.times.tolist()) == (None, [0, 1])
    with pytest.raises(DataError, match=r"'stars' not found .*or --value none when there is none"):
        open_dataset(path, value="stars")


def test_any_data_frame_and_any_packing_give_the_same(tmp_path: Path) -> None:
    plain = open_dataset(write(tmp_path, GOOD))
    packed = open_dataset(write(tmp_path, gzip.compress(GOOD.encode()), "clicks.csv.gz"))
    frame = pl.read_csv(GOOD.encode())
    frame.write_ndjson(tmp_path / "clicks.jsonl")
    for half, name in ((frame[:1], "part-1.parquet"), (frame[1:], "part-2.parquet")):
        half.write_parquet(tmp_path / name)
    others = (packed, open_dataset(frame), open_dataset(frame.lazy()), open_dataset(Foreign(frame)),
              open_dataset(tmp_path / "clicks.jsonl"),
              open_dataset(tmp_path / "part-*.parquet"))  # fmt: skip
    for other in others:
        assert other.interactions.frame.equals(plain.interactions.frame)
        assert (other.users, other.items) == (plain.users, plain.items)
    with pytest.raises(DataError, match=r"several logs .*glob pattern"):
        open_dataset(tmp_path)


class Foreign:
    """A data frame of another library: it speaks Arrow, and nothing else that Polars knows."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.frame.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("end", [60, 12])
def test_a_cut_gzip_file_says_so(tmp_path: Path, end: int) -> None:
    packed = gzip.compress((GOOD * 2000).encode())
    path = write(tmp_path, packed[: -end if end == 60 else end], "clicks.csv.gz")
    with pytest.raises(DataError, match=r"cannot read clicks.csv.gz: Compressed file ended"):
        open_dataset(path)


def test_a_column_cannot_play_two_roles(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'item' of clicks.csv was named for two roles"):
        open_dataset(write(tmp_path, GOOD), user="item", item="item")


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(DataError, match="cannot read a table from dict"):
        open_dataset({"user": [1]})


def test_a_named_column_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'ts' not found.*'user', 'item', 'time'.*--time COLUMN"):
        open_dataset(write(tmp_path, GOOD), time="ts")


def test_a_cut_parquet_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": [1, 2]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cut short"):
        open_dataset(path)
    path.write_bytes(b"hello there")
    with pytest.raises(DataError, match="not a Parquet file"):
        open_dataset(path)


def test_a_missing_file_suggests_a_neighbour(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(DataError, match=r"did you mean 'clicks\.csv'"):
        open_dataset(tmp_path / "click.csv")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"no log in .*found nothing"):
        open_dataset(empty)


def test_one_user_and_one_item_are_enough_to_open(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, "user,item,time\n1,2,3\n1,2,3\n"))
    assert (data.n_users, data.n_items, len(data.interactions)) == (1, 1, 2)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("path", "users", "items", "events"),
    [
        ("sequences/s3rec/beauty", 22_363, 12_101, 198_502),
        ("sequences/s3rec/sports", 35_598, 18_357, 296_337),
        ("sequences/s3rec/toys", 19_412, 11_924, 167_597),
        ("sequences/s3rec/yelp", 30_431, 20_033, 316_354),
        ("sequences/ml-100k", 943, 1_682, 100_000),
        ("sequences/timestamped/movielens-1m", 6_040, 3_416, 999_611),
    ],
)
def test_public_logs_have_their_published_counts(path, users, items, events) -> None:
    data = open_dataset(need(path))
    assert (data.n_users, data.n_items, len(data.interactions)) == (users, items, events)
    assert data.item_table is not None
    assert len(data.item_table) == items
    assert data.item_table["title" if "title" in data.item_table.columns else "item"][0] is not None
    assert np.all(np.diff(data.interactions.users) >= 0)
