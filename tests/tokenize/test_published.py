"""Ids that others published: read as they are, and only beside their own catalogue."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.realdata import need

from etalage.data.ingest import open_dataset
from etalage.errors import DataError
from etalage.ids import Vocabulary
from etalage.tokenize.health import measure_codes
from etalage.tokenize.published import read_published
from etalage.tokenize.trie import Trie


def written(folder: Path, rows: object) -> Path:
    path = folder / "index.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


def test_codes_stand_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    path = written(tmp_path, {"0": ["<a_3>", "<b_0>"], "1": ["<a_12>", "<b_7>"]})
    assert read_published(path, Vocabulary([2, 1]), first=1).tolist() == [[12, 7], [3, 0]]
    assert read_published(path, Vocabulary(["0", "1"])).dtype == np.int32


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"0": ["<a_1>"]}, "1 of 2 items of the catalogue have no codes, such as 1"),
        ({"0": ["<a_1>"], "1": ["<a_1>"], "2": ["<a_1>"]}, "1 of 3 items are not in the catalogue"),
        ({"0": ["<a_1>"], "1": ["<a_1>", "<b_1>"]}, "item 1 must have 1 codes"),
        ({"0": ["<a_1>"], "1": []}, "item 1 must have 1 codes"),
        ({"0": [], "1": []}, "item 0 must have 0 codes"),
        ({"0": ["<a_1>"], "1": ["<a_x>"]}, "expected '<a_12>'"),
        ({"0": ["<a_1>"], "1": ["<a_-1>"]}, "expected '<a_12>'"),
        ({"0": ["<a_1>"], "1": [7]}, "expected '<a_12>'"),
        ({"0": ["<a_1>"], "1": "<a_1>"}, "must have 1 codes"),
        ({"0": ["<a_1>"], "1": ["<b_1>"]}, "has levels"),
        ({"0": ["<a_1>", "<a_2>"], "1": ["<a_1>", "<a_2>"]}, "has levels"),
        ({"0": ["<a_1>"], "one": ["<a_1>"]}, "calls an item 'one'"),
        ({}, "not empty"),
        ([["<a_1>"]], "must be a JSON object"),
        ("{", "no published ids can be read"),
    ],
)
def test_what_is_not_of_this_catalogue_is_refused(tmp_path: Path, rows: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_published(written(tmp_path, rows), Vocabulary([0, 1]))
    with pytest.raises(DataError, match="no published ids can be read"):
        read_published(tmp_path / "none.json", Vocabulary([0, 1]))


@pytest.mark.realdata
def test_letters_ids_of_beauty_are_those_that_were_measured() -> None:
    shop = open_dataset(need("sequences/s3rec/beauty"))
    path = need("codes/letter/Beauty.index.json")
    codes = read_published(path, shop.items, first=1)
    report = measure_codes(codes, (256,) * 4)
    assert len(codes) == 12_101
    assert round(report.collision_rate, 4) == 0.0020
    assert [round(p, 1) for p in report.perplexity] == [82.7, 248.6, 247.6, 246.6]
    assert round(report.prefix_collisions[2], 3) == 0.056
    assert report.prefixes == (197, 7_931, 11_696, 12_088)
    trie = Trie(np.unique(codes, axis=0))
    assert tuple(map(len, trie.codes)) == report.prefixes
    with pytest.raises(DataError, match="first=0"):
        read_published(path, shop.items)
    other = open_dataset(need("sequences/s3rec/toys"))
    with pytest.raises(DataError, match="of another catalogue"):
        read_published(path, other.items, first=1)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("path", "n_items", "first", "collisions", "largest", "perplexity"),
    [
        ("codes/letter/Instruments.index.json", 9_922, 0, 0.0048, 3, (71.6, 247.3, 246.0, 243.6)),
        ("codes/letter/Yelp.index.json", 20_033, 1, 0.0622, 65, (237.5, 243.0, 239.8, 215.4)),
        ("sequences/minionerec/industrial/index.json", 3_686, 0, 0.0084, 3, (40.7, 241.7, 225.6)),
        ("sequences/minionerec/office/index.json", 3_459, 0, 0.0087, 2, (70.8, 236.1, 217.4)),
    ],
)
def test_the_other_published_ids_are_those_that_were_measured(
    path: str, n_items: int, first: int, collisions: float, largest: int, perplexity: tuple
) -> None:
    items = Vocabulary(range(first, first + n_items))
    codes = read_published(need(path), items, first=first)
    report = measure_codes(codes, (256,) * codes.shape[1])
    assert round(report.collision_rate, 4) == collisions
    assert report.largest_collision == largest
    assert tuple(round(p, 1) for p in report.perplexity) == perplexity
