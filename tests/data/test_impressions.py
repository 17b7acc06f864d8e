"""A log of what was shown: misses are kept, and what else was known; ratings are no clicks."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from etalage.data import store
from etalage.data.describe import describe
from etalage.data.formats.raw import Names
from etalage.data.formats.table import resolve
from etalage.data.impressions import telling
from etalage.data.ingest import open_dataset
from etalage.data.kcore import k_core
from etalage.errors import DataError

START = 1_700_000_000
SHOWN: dict[str, list[Any]] = {
    "visitor": ["bo", "ann", "ann", "bo", "cy", "bo", "ann"],
    "product": ["pot", "mug", "pot", "tea", "jar", "mug", "mug"],
    "ts": [START + 9, START, START, START + 5, START + 7, START + 9, START + 20],
    "clicked": [1, 0, 1, 1, 0, 0, 1],
    "device": ["phone", "desk", "desk", "phone", None, "desk", "desk"],
    "position": [1, 1, 2, 1, 1, 2, 1],
    "is_member": [True, False, False, True, False, True, False],
    "brand": ["x", "y", "x", "z", "y", "y", "y"],  # of the item
    "price": [1.5, 2.5, 1.5, 3.5, 2.5, 2.75, 2.5],
    "rating": [5.0, None, 4.0, 3.0, None, None, 2.0],
    "label": [1, 0, 1, 1, 0, 0, 1],  # another outcome
}


def shown(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({k: v for k, v in (SHOWN | columns).items() if v is not None})


def test_all_rows_are_impressions_and_those_clicked_interactions() -> None:
    data = open_dataset(shown())
    assert data.users.ids == ["ann", "bo", "cy"]
    assert data.items.ids == ["jar", "mug", "pot", "tea"]  # the jar was never clicked
    log = data.interactions
    assert log.users.tolist() == [0, 0, 1, 1]
    assert log.items.tolist() == [2, 1, 3, 2]
    assert log.frame["value"].to_list() == [4, 2, 3, 5]
    assert data.impressions is not None
    names = ["user", "item", "time", "clicked", "device", "position", "is_member"]
    assert data.impressions.columns == names
    assert data.impressions.rows() == [
        (0, 1, 1000 * START, 0, "desk", 1, "False"),
        (0, 2, 1000 * START, 1, "desk", 2, "False"),
        (1, 3, 1000 * (START + 5), 1, "phone", 1, "True"),
        (2, 0, 1000 * (START + 7), 0, None, 1, "False"),
        (1, 2, 1000 * (START + 9), 1, "phone", 1, "True"),
        (1, 1, 1000 * (START + 9), 0, "desk", 2, "True"),
        (0, 1, 1000 * (START + 20), 1, "desk", 1, "False"),
    ]
    assert data.impressions.schema["clicked"] == pl.Int8


def test_every_form_of_a_table_says_the_same(tmp_path: Path) -> None:
    frame = shown()
    frame.write_csv(tmp_path / "log.csv")
    frame.write_parquet(tmp_path / "log.parquet")
    one = open_dataset(frame)
    store.save(one, tmp_path / "stored")
    atomic = {"visitor": "user_id", "product": "item_id", "ts": "timestamp"}
    folder = tmp_path / "atomic"
    folder.mkdir()
    frame.rename({c: f"{atomic.get(c, c)}:token" for c in frame.columns}).write_csv(
        folder / "log.inter", separator="\t"
    )
    others = [
        open_dataset(path)
        for path in (tmp_path / "log.csv", tmp_path / "log.parquet", tmp_path / "stored", folder)
    ]
    for other in others:
        assert other.users == one.users
        assert other.interactions.frame.equals(one.interactions.frame)
        assert other.impressions is not None
        columns = pl.exclude("is_member")  # truth values have no form of their own in text
        assert other.impressions.select(columns).equals(one.impressions.select(columns))
        assert other.impressions["is_member"].str.to_titlecase().to_list() == (
            one.impressions["is_member"].to_list()
        )


@pytest.mark.parametrize(
    "clicks",
    [[True, False, True, True, False, False, True], [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
     ["1", "0", "1", "1", "0", "0", "1"], ["True", "False", "True", "True", "false", "0", "1.0"]],
)  # fmt: skip
def test_clicks_in_any_writing(clicks: list[Any]) -> None:
    data = open_dataset(shown(clicked=None, Is_Click=clicks))
    assert data.interactions.frame.equals(open_dataset(shown()).interactions.frame)


def test_a_column_is_named_or_left_alone() -> None:
    frame = shown(clicked=None)
    plain = open_dataset(frame.drop("rating"))  # a label may be anything
    assert plain.impressions is None
    assert len(plain.interactions) == 7
    named = open_dataset(frame, clicked="label")
    assert named.interactions.frame.equals(open_dataset(shown()).interactions.frame)
    ignored = open_dataset(shown(rating=None), clicked="none")
    assert ignored.impressions is None
    assert len(ignored.interactions) == 7


@pytest.mark.parametrize("name", ["rating", "count", "score", "value", "clicks", "label", "liked"])
def test_a_rating_is_never_taken_for_clicks(name: str) -> None:
    columns = ["user", "item", "time", name]
    assert resolve(Names(), columns, "log").clicked is None
    frame = pl.DataFrame({"user": [1, 1], "item": [1, 2], "time": [1, 2], name: [0, 1]})
    assert open_dataset(frame).impressions is None
    assert len(open_dataset(frame).interactions) == 2


def test_a_place_in_the_window_is_no_time() -> None:
    frame = shown(ts=None)
    with pytest.raises(DataError, match=r"cannot tell which column .* is the time"):
        open_dataset(frame)
    data = open_dataset(frame, time="none")
    assert data.impressions is not None
    assert "position" in data.impressions.columns
    assert resolve(Names(), ["user", "item", "position"], "log").time == "position"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"clicked": [1, 0, 2, 1, 0, 0, 1]}, "is not 0 or 1 in 1 of 7 .* row 3: 2. .*--clicked"),
        ({"clicked": [1, 0, 1, 1, 0, None, 1]}, "is not 0 or 1 in 1 of 7 .* row 6: None"),
        ({"clicked": [1, 0, 1, 1, 0, float("nan"), 1]}, "is not 0 or 1 in 1 .* row 6: nan"),
        ({"clicked": ["1", "0", "no", "1", "0", "0", "1"]}, "in 1 of 7 .* row 3: 'no'"),
        ({"clicked": [1] * 7}, "is 1 in all 7 rows; .* not. .*--clicked none"),
        ({"clicked": [0] * 7}, "is 0 in all 7 rows"),
        ({"rating": [5.0, None, 4.0, None, None, None, 2.0]}, "not a number in 1 of 7 .* row 4"),
    ],
)
def test_what_is_no_click_log_is_refused_with_help(columns: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(pl.DataFrame(SHOWN | columns, strict=False))


def test_a_clicked_column_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(DataError, match=r"'klick' not found.*; did you mean 'clicked'.*--clicked"):
        open_dataset(shown(), clicked="klick")


def test_context_is_what_has_few_values() -> None:
    n = 4000
    frame = pl.DataFrame(
        {
            "user": [i % 50 for i in range(n)],
            "item": [(7 * i) % 30 for i in range(n)],
            "time": [START + i for i in range(n)],
            "clicked": [int(i % 3 == 0) for i in range(n)],
            "few": [i % 1000 for i in range(n)],
            "many": [i % 1001 for i in range(n)],
            "text": [f"q{i}" for i in range(n)],
            "measured": [f"{(i % 9) / 2}" for i in range(n)],
            "version": [f"1.{i // 100 % 2}.0" for i in range(n)],
        }
    )
    data = open_dataset(frame)
    assert data.impressions is not None
    assert data.impressions.columns[4:] == ["few", "version"]


def test_the_core_keeps_misses_of_those_who_remain() -> None:
    core = k_core(open_dataset(shown()), users=2, items=1)
    assert (core.users.ids, core.items.ids) == (["ann", "bo"], ["mug", "pot", "tea"])
    assert core.impressions is not None
    assert core.impressions["user"].to_list() == [0, 0, 1, 1, 1, 0]
    assert core.impressions["item"].to_list() == [0, 1, 2, 1, 0, 0]
    assert core.impressions["clicked"].to_list() == [0, 1, 1, 1, 0, 1]


def test_a_description_says_what_was_shown() -> None:
    found = describe(open_dataset(shown()))
    assert (found.n_impressions, found.click_share) == (7, pytest.approx(4 / 7))
    assert ("impressions", "7, 57.1 % clicked") in found.rows()
    plain = describe(open_dataset(shown(rating=None), clicked="none"))
    assert "impressions" not in dict(plain.rows())


def test_what_is_known_only_after_a_click_is_reported() -> None:
    n = 4000
    rng = np.random.default_rng(0)
    clicked = (rng.random(n) < 0.2).astype(int)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 50, n),
            "item": rng.integers(0, 30, n),
            "time": START + np.arange(n),
            "clicked": clicked,
            "device": rng.integers(0, 3, n),
            "query": rng.integers(0, 900, n),  # some of few rows are clicked always, by chance
            "bought": clicked * (rng.random(n) < 0.1),
            "seconds": clicked * rng.integers(1, 600, n),
        }
    )
    problems = describe(open_dataset(frame)).problems
    assert [p.split("'")[1] for p in problems] == ["bought", "seconds"]
    assert f"all {clicked.sum():,} impressions with some of its values were" in problems[1]


@pytest.mark.parametrize("name", ["n", "clicks", "value", "len"])
def test_a_context_of_any_name_can_be_described(name: str) -> None:
    shown = pl.DataFrame({"user": [0, 1] * 200, "item": [0, 1, 1, 0] * 100, "time": range(400),
                          "clicked": [0, 1] * 200, name: [0, 1] * 200})  # fmt: skip
    assert telling(shown) == [(name, 200)]
