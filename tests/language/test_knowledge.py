"""A question about every item and everybody, from what models may know; and what became of it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.split import leave_one_out
from etalage.errors import DataError
from etalage.ids import Vocabulary
from etalage.language.answers import Answers
from etalage.language.consistency import is_consistent
from etalage.language.hashing import HashingEncoder
from etalage.language.knowledge import ItemRequests, UserRequests, texts_of
from etalage.language.prompts import template
from etalage.language.request import Request, Result, Sampling

ITEMS, USERS = template("items", "goods"), template("users", "goods")


def shop() -> Dataset:
    """Three people and four items; one item has no title, one was never taken."""
    log = Interactions.from_arrays([0, 0, 0, 1, 2], [1, 0, 3, 1, 3], n_users=3, n_items=4)
    table = pl.DataFrame(
        {
            "item": ["a", "b", "c", "d"],
            "title": ["Red mug", "Tea pot", "Oak <b>table", None],
            "description": ["Holds tea. " * 200, None, "See https://x.example/now", "A thing"],
        }
    )
    return Dataset("toy", log, Vocabulary(["u", "v", "w"]), Vocabulary(list("abcd")), table)


def facts(request: Request | None) -> dict[str, object]:
    assert request is not None
    found: dict[str, object] = json.loads(request.messages[-1].content.split("\n")[1])
    return found


def test_items_are_asked_about_by_popularity() -> None:
    requests = ItemRequests(shop(), ITEMS, Sampling())
    told = [facts(request)["title"] for request in requests]
    assert told == ["Tea pot", "Red mug", "Oak <b>table"]
    assert [facts(request)["title"] for request in requests] == told, "it can be read again"
    assert len(requests) == 4
    assert requests.of(3) is None
    assert facts(requests.of(1)) == {"title": "Tea pot"}
    assert facts(requests.of(2))["description"] == "See"
    assert len(str(facts(requests.of(0))["description"])) <= 1000


def test_people_are_asked_about_by_their_newest_titles() -> None:
    requests = UserRequests(shop(), USERS, Sampling())
    assert [facts(request)["history"] for request in requests] == [
        ["Tea pot", "Red mug"],
        ["Tea pot"],
    ]
    assert requests.of(2) is None
    assert all(request.is_personal for request in requests)


def test_a_later_choice_changes_no_question() -> None:
    """Everybody's last two choices are replaced; models may not know them, nor do questions."""
    users = np.repeat(np.arange(20), 45)
    items = np.random.default_rng(0).integers(0, 50, len(users))
    table = pl.DataFrame({"item": range(50), "title": [f"Thing {n}" for n in range(50)]})

    def asked(items: np.ndarray) -> list[Request]:
        log = Interactions.from_arrays(users, items, n_users=20, n_items=50)
        data = Dataset("toy", log, Vocabulary(range(20)), Vocabulary(range(50)), table)
        known = data.with_interactions(leave_one_out(log).train)
        return [*ItemRequests(known, ITEMS, Sampling()), *UserRequests(known, USERS, Sampling())]

    later = items.reshape(20, 45).copy()
    later[:, -2:] = (later[:, -2:] + 1) % 50
    assert asked(later.ravel()) == asked(items)
    titles = [f"Thing {item}" for item in items.reshape(20, 45)[3, 13:43]]
    assert titles in [facts(request).get("history") for request in asked(items)]
    later[:, 20] = (later[:, 20] + 1) % 50
    assert asked(later.ravel()) != asked(items)


def test_a_shop_without_titles_asks_nothing() -> None:
    log = shop().interactions
    bare = Dataset("bare", log, Vocabulary(["u", "v", "w"]), Vocabulary(list("abcd")))
    assert list(ItemRequests(bare, ITEMS, Sampling())) == []
    assert list(UserRequests(bare, USERS, Sampling())) == []


def test_a_text_is_the_answer_or_what_the_shop_says(tmp_path: Path) -> None:
    requests = ItemRequests(shop(), ITEMS, Sampling())
    asked = requests.of(1)
    assert asked is not None
    with Answers(tmp_path) as answers:
        answers.keep(asked.key("m"), Result(asked, "A pot.", "stop", None, "m", 0.1), "m")
        texts, is_answer = texts_of(requests, "m", answers)
    assert texts[1:] == ["A pot.", "Oak <b>table. See", "A thing"]
    assert texts[0].startswith("Red mug. Holds tea.")
    assert is_answer.tolist() == [False, True, False, False]


def test_an_answer_about_something_else_is_not_taken() -> None:
    """Of two hundred answers two were made to speak of the shop's best seller."""
    things = [f"{colour} {thing}" for colour in ("red", "blue") for thing in
              ("mug", "table", "lamp", "rug", "pen")]  # fmt: skip
    raw = [f"{thing} number{n}" for n in range(20) for thing in things]
    said = [f"a {text}, made of {text.split()[1]} stuff" for text in raw]
    said[7] = said[120] = "the famous bestseller that everybody buys"
    encoder = HashingEncoder(32).fit([*raw, *said])
    found = is_consistent(encoder.encode(raw), encoder.encode(said))
    assert np.flatnonzero(~found).tolist() == [7, 120]
    assert is_consistent(np.zeros((0, 3), "f4"), np.zeros((0, 3), "f4")).tolist() == []
    with pytest.raises(DataError, match="expected"):
        is_consistent(np.zeros((2, 3), "f4"), np.zeros((3, 3), "f4"))
