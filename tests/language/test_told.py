"""Texts as a file: what was written is read, and what could tell the future is refused."""

from pathlib import Path

import pytest
from tests.contracts.toys import shop

from etalage.errors import DataError
from etalage.language.told import read_told, told_of, write_told


def test_what_was_written_is_read_in_the_order_of_the_log(tmp_path: Path) -> None:
    data, path = shop(), tmp_path / "texts.jsonl"
    ids = list(data.items.ids)
    lines = [(ids[2], "an «oak» mug\u2028", True), (ids[0], "a rose", False)]
    write_told(path, "items", "m@1", "0" * 16, lines)
    told = read_told(path)
    assert (told.about, told.model, told.log) == ("items", "m@1", "0" * 16)
    texts = told_of(path, "items", data)  # what is known of items is of no log
    assert texts[:3] == ["a rose", "", "an «oak» mug\u2028"]
    assert set(texts[3:]) == {""}
    with pytest.raises(DataError, match="is about items; give one about users"):
        told_of(path, "users", data)


def test_texts_about_users_of_another_log_are_refused(tmp_path: Path) -> None:
    data, path = shop(), tmp_path / "texts.jsonl"
    lines = [(one, "likes tea", True) for one in data.users.ids]
    write_told(path, "users", "m", data.interactions.hash, lines)
    assert set(told_of(path, "users", data)) == {"likes tea"}
    log = data.interactions
    fewer = data.with_interactions(log.rows(log.times < log.times.max()))
    with pytest.raises(DataError, match="may tell what is to be foretold"):
        told_of(path, "users", fewer)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"etalage_texts": 9}', "no json"])
def test_another_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=r"texts\.jsonl h.*etalage knowledge texts"):
        read_told(path)
    with pytest.raises(DataError, match="holds no texts about items or users"):
        read_told(tmp_path / "absent.jsonl")
