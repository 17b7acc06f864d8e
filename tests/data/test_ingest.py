"""Logs come in as they are, and what is wrong with them is said plainly."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.realdata import need

from etalage.data.ingest import open_dataset
from etalage.data.table import from_frame
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
        ([0, 1], 0),
    ],
)
def test_times_of_any_unit_become_milliseconds(times: list, first: int) -> None:
    frame = pl.DataFrame({"u": [1, 1], "i": [5, 6], "t": times})
    data = from_frame(frame, user="u", item="i", time="t")
    assert data.interactions.times[0] == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,item,tiem\n1,2,3\n", r"cannot tell which column is the time.*'tiem'.*--time COLUMN"),
        ("", r"is empty \(0 bytes\)"),
        ("user,item,time\n", "has a header but no rows"),
        ("user,item,time\n1,2,-5\n", "negative time, -5, in row 1"),
        (
            "user,item,time\n1,2,1700000000\n1,3,1700000000000\n",
            "mixes units.*milliseconds.*seconds",
        ),
        ("user,item,time\n1,2,soon\n", "no date, such as 'soon'"),
        ("user,item,time\n1,,5\n", "missing ids, the first in row 1"),
        ("user,item,time,rating\n1,2,5,NaN\n", "not numbers, the first .nan. in row 1"),
        ("user,item,time,rating\n1,2,5,good\n", "not numbers, the first .'good'. in row 1"),
        (b"user,item,time\n1,caf\xe9,5\n", r"not UTF-8: byte 0xe9 at position 20 \(line 2\)"),
    ],
)
def test_bad_tables_are_refused_with_help(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        open_dataset(path)
    assert path.read_bytes() == (text if isinstance(text, bytes) else text.encode())


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
