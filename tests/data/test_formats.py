"""Every form that people have their logs in says the same about the same events."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from tests.realdata import need

from etalage.data.formats.catalogue import joined
from etalage.data.formats.source import read_separated
from etalage.data.ingest import open_dataset
from etalage.errors import DataError


def fill(folder: Path, **files: str | bytes) -> Path:
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def test_recbole_files_bring_their_items_and_users(tmp_path: Path) -> None:
    fill(
        tmp_path,
        shop__inter="user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "9\tA\t4\t881250949\n8\tB\t3\t891717742\n",
        shop__item='item_id:token\tmovie_title:token_seq\tclass:token_seq\nB\t"Bee\tbuzz\n',
        shop__user="user_id:token\tage:token\n8\t40\n",
    )
    data = open_dataset(tmp_path)
    assert (data.users.ids, data.items.ids, data.name) == ([8, 9], ["A", "B"], "shop")
    assert data.interactions.times.tolist() == [891717742000, 881250949000]
    assert data.interactions.frame["value"].to_list() == [3, 4]
    assert data.item_table is not None
    assert data.item_table.rows() == [("A", None, None), ("B", '"Bee', "buzz")]
    assert data.user_table is not None
    assert data.user_table.rows() == [(8, 40), (9, None)]
    with pytest.raises(DataError, match=r"'rating:float' not found .*did you mean 'rating'"):
        open_dataset(tmp_path, value="rating:float")


def test_recbole_headers_need_types(tmp_path: Path) -> None:
    fill(tmp_path, shop__inter="user_id\titem_id\ttimestamp\n1\t2\t3\n")
    with pytest.raises(DataError, match=r"header cell 'user_id' without a type.*\.tsv"):
        open_dataset(tmp_path / "shop.inter")


FLAGS = "|".join("1" if n in (3, 5) else "0" for n in range(19))
RELEASES: dict[str, dict[str, str | bytes]] = {
    "100k": {
        "u__data": "9\t2\t5\t881250949\n8\t1\t3\t891717742\n",
        "u__item": f"1|Toy Story|01-Jan-1995||http|{FLAGS}\n2|Café|1996|||{FLAGS}\n".encode(
            "latin-1"
        ),
        "u__user": "8|24|M|technician|85711\n9|53|F|other|94043\n",
    },
    "1m": {
        "ratings__dat": "9::2::5::881250949\n8::1::3::891717742\n",
        "movies__dat": "1::Toy Story::Animation|Comedy\n2::Café::Animation|Comedy\n".encode(
            "latin-1"
        ),
        "users__dat": "8::M::24::10::85711\n9::F::53::1::94043\n",
    },
    "20m": {
        "ratings__csv": "userId,movieId,rating,timestamp\n9,2,5.0,881250949\n8,1,3.0,891717742\n",
        "movies__csv": "movieId,title,genres\n1,Toy Story,Animation|Comedy\n"
        '2,"Café",Animation|Comedy\n',
    },
}


@pytest.mark.parametrize("release", RELEASES)
def test_movielens_files_of_every_age_are_one_shop(tmp_path: Path, release: str) -> None:
    folder = fill(tmp_path, **RELEASES[release])
    data = open_dataset(folder)
    assert (data.users.ids, data.items.ids) == ([8, 9], [1, 2])
    assert data.interactions.times.tolist() == [891717742000, 881250949000]
    assert data.interactions.values is not None
    assert data.interactions.values.tolist() == [3, 5]
    assert data.item_table is not None
    genres = ["Animation", "Comedy"]
    assert data.item_table.select("item", "title", "category").rows() == [
        (1, "Toy Story", genres),
        (2, "Café", genres),
    ]
    if release != "20m":
        assert data.user_table is not None
        assert data.user_table["gender"].to_list() == ["M", "F"]
    with pytest.raises(DataError, match="columns are known; leave out --user"):
        open_dataset(folder, user="userId")


def test_sequences_have_places_for_times(tmp_path: Path) -> None:
    fill(
        tmp_path,
        sequences__txt="2 5 6 5\n\n1  7\t5\n",
        items__jsonl='{"item": 6, "title": "Pot", "categories": ["Kitchen", "Tea"]}\n',
    )
    data = open_dataset(tmp_path)
    assert (data.users.ids, data.items.ids) == ([1, 2], [5, 6, 7])
    assert data.interactions.items.tolist() == [2, 0, 0, 1, 0]
    assert data.interactions.times.tolist() == [0, 1, 0, 1, 2]
    assert data.item_table is not None
    assert data.item_table.rows() == [
        (5, None, None),
        (6, "Pot", ["Kitchen", "Tea"]),
        (7, None, None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n", "is empty"),
        ("1 2 3\n2\n", "line 2: a user without items"),
        ("1 2 3\n1 4\n", "several lines of user '1'"),
        (b"1 \xe9\n", "not UTF-8 text: byte 0xe9 at position 2, line 1"),
    ],
)
def test_bad_sequences_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(fill(tmp_path, sequences__txt=text))


def test_an_item_table_without_ids_says_so(tmp_path: Path) -> None:
    fill(tmp_path, clicks__csv="user,item,time\n1,2,3\n", items__jsonl='{"name": "Pot"}\n')
    with pytest.raises(DataError, match="no column of item ids; its columns are 'name'"):
        open_dataset(tmp_path / "clicks.csv")


def test_ids_of_text_and_of_numbers_find_each_other(tmp_path: Path) -> None:
    fill(
        tmp_path,
        clicks__csv="user,item,time\n1,2,3\n1,x,3\n",
        items__jsonl='{"item_id": 2, "title": "Pot", "item": "spare"}\n',
    )
    table = open_dataset(tmp_path / "clicks.csv").item_table
    assert table is not None
    assert table["title"].to_list() == [None, None]  # the column called `item` holds the ids
    fill(tmp_path, items__jsonl='{"item_id": 2, "title": "Pot"}\n')
    table = open_dataset(tmp_path / "clicks.csv").item_table
    assert table is not None
    assert table.rows() == [("2", "Pot"), ("x", None)]


@pytest.mark.parametrize(
    ("facts", "category", "text"),
    [
        ('{"categories": [["Beauty", "c1"], ["Tools"]]}', ["Beauty", "c1", "Tools"], None),
        ('{"category": [0, 7], "description": [1, 2]}', ["0", "7"], ["1", "2"]),
        ('{"category": 3, "description": null}', "3", None),
        ('{"category": {"id": 3, "names": ["Mugs", null]}}', ["3", "Mugs"], None),
        ('{"category": [{"name": "Mugs"}], "description": []}', ["Mugs"], []),
    ],
)
def test_whatever_an_item_table_nests_is_text_or_a_list_of_texts(
    tmp_path: Path, facts: str, category: object, text: object
) -> None:
    other = '{"item": 2, "title": "Pot"}'
    fill(
        tmp_path,
        clicks__csv="user,item,time\n1,2,3\n1,3,4\n",
        items__jsonl=f'{other}\n{{"item": 3, "title": "Mug", {facts[1:]}\n',
    )
    data = open_dataset(tmp_path / "clicks.csv")
    assert data.item_table is not None
    assert data.item_table["category"].to_list() == [None, category]
    if "description" in data.item_table.columns:
        assert data.item_table["description"].to_list() == [None, text]


def test_any_column_can_be_read_as_text() -> None:
    frame = pl.DataFrame(
        {
            "array": pl.Series([["a", "b"], None], dtype=pl.Array(pl.String, 2)),
            "kind": pl.Series(["mug", None], dtype=pl.Categorical),
            "kinds": pl.Series([["mug", None], []], dtype=pl.List(pl.Categorical)),
            "nothing": [None, None],
            "no_lists": [[], []],
            "flags": [[[True], [False]], [None]],
            "day": [date(2024, 1, 31), None],
            "bytes": [b"mug", b"\xff"],
            "objects": pl.Series([["a", ("b", 1)], None], dtype=pl.Object),
        }
    )
    assert {column.name: joined(column, "+") for column in frame.get_columns()} == {
        "array": ["a+b", ""],
        "kind": ["mug", ""],
        "kinds": ["mug", ""],
        "nothing": ["", ""],
        "no_lists": ["", ""],
        "flags": ["True+False", ""],
        "day": ["2024-01-31", ""],
        "bytes": ["mug", "\ufffd"],
        "objects": ["a+('b', 1)", ""],
    }


@pytest.mark.realdata
def test_the_published_films_of_movielens_1m_read_whole() -> None:
    films = read_separated(need("ctr/movielens-1m/movies.dat"), "::", ["item", "title", "genres"])
    assert films.shape == (3883, 3)
    assert films.null_count().sum_horizontal()[0] == 0
    assert films.filter(pl.col("item") == 73)["title"][0] == "Misérables, Les (1995)"
