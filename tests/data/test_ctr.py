"""The public click logs: read whole, cut as published, and coded to the published sizes."""

import gzip
import hashlib
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.realdata import need

from etalage.data.formats.ctr import CRITEO, criteo, criteo_fields, frappe, movielens_1m
from etalage.data.vocabulary import ClickVocabulary
from etalage.errors import DataError

MD5 = {
    "valid": "88d51bf2173505436d3a8f78f2a59da8",
    "test": "3470f6d32713dc5f7715f198ca7c612a",
}


def test_frappe_is_the_published_one() -> None:
    """Rows, clicks and codes as in Cheng et al. (2020) and in published logs; the files that have
    no drawn apps are the published ones byte for byte."""
    folder = need("ctr/frappe_x1r")
    for part, md5 in MD5.items():
        with gzip.open(folder / f"{part}.csv.gz") as file:
            assert hashlib.md5(file.read()).hexdigest() == md5
    tables = frappe(folder, min_count=2)
    assert [len(table) for table in tables] == [202_027, 57_722, 28_860]
    assert np.bincount(tables.train.labels).tolist() == [134_423, 67_604]
    assert sum(tables.train.sizes.values()) == 5383
    assert all(table.sizes == tables.train.sizes for table in tables)
    every = frappe(folder).train
    once = sum(every.sizes.values()) - 5383
    others = np.array([*tables.train.sizes.values()]) - 1
    assert (tables.train.categories == others).sum() == once > 0  # values of one row
    assert every.categories.min() == 1  # all cells are filled
    assert every.groups is not None
    assert every.groups.tolist() == every.categories[:, 0].tolist()


def test_movielens_1m_is_cut_as_published() -> None:
    folder = need("ctr/movielens-1m")
    ratings = pl.read_parquet(folder / "ratings.parquet")["rating"]
    assert ratings.value_counts().sort("rating")["count"].to_list() == [
        56_174, 107_557, 261_197, 348_971, 226_310,
    ]  # fmt: skip
    tables = movielens_1m(folder)
    assert [len(table) for table in tables] == [591_209, 73_901, 73_902]
    assert sum(len(table) for table in tables) == 739_012
    assert sum(int(table.labels.sum()) for table in tables) == 348_971 + 226_310
    sizes = {**tables.train.sizes, **{n: size for n, (size, _) in tables.train.bag_forms.items()}}
    movies = sizes.pop("movie")
    assert sizes == {
        "user": 6042, "gender": 4, "age": 9, "occupation": 23, "release_decade": 10, "genres": 20,
    }  # fmt: skip
    # films of one or two rows fall out of the training part or not, by the shuffle
    assert sum(sizes.values()) + movies == pytest.approx(9751, abs=20)
    assert tables.train.bag_forms["genres"][1] == 5
    assert tables.train.bags is not None
    assert (tables.train.bags[:, 0] > 0).all()
    assert movielens_1m(folder).test.hash == tables.test.hash
    assert movielens_1m(folder, seed=1).test.hash != tables.test.hash


def test_criteo_rows_become_codes() -> None:
    frame = criteo(need("ctr/criteo-10k/train_examples.txt"))
    assert frame.shape == (10_000, 40)
    assert frame.row(0)[:5] == (0, 1, 1, 5, 0)
    assert frame["I12"][0] is None
    table = ClickVocabulary.learn(frame, criteo_fields()).table(frame)
    assert tuple(table.sizes) == CRITEO
    for place, name in enumerate(CRITEO):
        absent = (table.categories[:, place] == 0).sum()
        assert absent == frame[name].null_count(), name


def test_files_that_are_not_the_log_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*train\.csv"):
        frappe(tmp_path)
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.csv").write_text("label,user,item\n1,2,3\n0,2,4\n")
    with pytest.raises(DataError, match=r"'daytime'.* are not in the table"):
        frappe(tmp_path)
    with pytest.raises(DataError, match=r"no file .*ratings\.parquet"):
        movielens_1m(tmp_path)
    row = "\t".join(["1", *"3" * 13, *"a" * 26])
    (tmp_path / "cut.txt").write_text(f"{row}\n{row[:-8]}\n")
    with pytest.raises(DataError, match=r"cut\.txt, row 2, has 36 cells; a Criteo row has 40"):
        criteo(tmp_path / "cut.txt")
    (tmp_path / "label.txt").write_text(f"{row}\n3{row[1:]}\n")
    with pytest.raises(DataError, match=r"label\.txt is not 0 or 1 .* row 2: 3"):
        criteo(tmp_path / "label.txt")


def test_ratings_of_another_release_are_refused(tmp_path: Path) -> None:
    for name in ("users.dat", "movies.dat"):
        shutil.copy(need(f"ctr/movielens-1m/{name}"), tmp_path)
    ratings = pl.DataFrame({"user": [1, 1], "movie": [1, 99_999], "rating": [5, 1]})
    ratings.write_parquet(tmp_path / "ratings.parquet")
    with pytest.raises(DataError, match=r"movie 99999 of ratings\.parquet is not in movies\.dat"):
        movielens_1m(tmp_path)
    ratings.drop("rating").write_parquet(tmp_path / "ratings.parquet")
    with pytest.raises(DataError, match=r"has no \['rating'\]; it has \['user', 'movie'\]"):
        movielens_1m(tmp_path)
