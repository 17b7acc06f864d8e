"""The window keeps out what somebody said that they do not want, and only as long as it is said."""

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.conftest import Exported
from tests.serve.remembering import KEY, served, token

from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.keeper import Keeper

Cards = list[dict[str, Any]]


@pytest.fixture(scope="module")
def shop(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    path = tmp_path_factory.mktemp("memory") / "memory.sqlite"
    with TestClient(create_app(exported.folder, keeper=Keeper.open(path, KEY))) as client:
        yield client


def tell(shop: TestClient, name: str, text: str) -> int:
    done = shop.post("/memory", json={"text": text}, headers=token(name))
    assert done.status_code == 200, done.text
    return done.json()["numbers"][0]


def window(shop: TestClient, name: str | None, **fields: Any) -> dict[str, Any]:
    headers = {} if name is None else token(name)
    done = shop.post("/recommend", json=fields, headers=headers)
    assert done.status_code == 200, done.text
    return done.json()


def has(word: str, card: dict[str, Any]) -> bool:
    text = f"{card['title']} {card['category']}".lower()
    return re.search(rf"\b{re.escape(word)}\b", text) is not None


def vocabulary(exported: Exported) -> list[str]:
    items = json.loads((exported.folder / "items.json").read_text())
    texts = [*items["titles"], *items["categories"]]
    return sorted({word for text in texts for word in re.findall("[a-z]{4,}", text.lower())})


def test_no_slate_of_many_shows_what_was_refused(shop: TestClient, exported: Exported) -> None:
    """400 slates of 80 people: histories, places and dislikes drawn from the shop itself."""
    draw, words = random.Random(7), vocabulary(exported)
    names = [card["id"] for card in window(shop, None, k=120)["items"]]
    n_kept_out = 0
    for person in range(80):
        name = f"person-{person}"
        dislikes = draw.sample(words, draw.randint(1, 3))
        for word in dislikes:
            form = draw.choice(["Never {}.", "I don't like {}", "I'm allergic to {}", "I hate {}!"])
            tell(shop, name, form.format(word))
        for _ in range(5):
            asked = {"history": draw.sample(names, draw.randint(0, 9)), "k": draw.randint(1, 60)}
            body = window(shop, name, **asked)
            wrong = [c for c in body["items"] if any(has(word, c) for word in dislikes)]
            assert wrong == []
            n_kept_out += sum(told["n_items"] for told in body["kept_out"])
            assert {told["said"] for told in body["kept_out"]} == set(dislikes)
    assert n_kept_out > 400


def test_an_answer_cites_what_was_said_and_fills_every_place(shop: TestClient) -> None:
    plain = window(shop, None, history=["item-00003"], k=20)
    category = plain["items"][0]["category"]
    name, word = "citer", category.lower().split()[-1]
    assert window(shop, name, history=["item-00003"], k=20)["kept_out"] == []
    numbers = [tell(shop, name, f"Never {word}."), tell(shop, name, f"I hate {word}")]
    body = window(shop, name, history=["item-00003"], k=20)
    (told,) = body["kept_out"]
    assert (told["said"], told["because"], told["memories"]) == (word, "dislikes", numbers)
    assert told["n_items"] >= 1
    assert len(body["items"]) == 20
    assert not any(has(word, card) for card in body["items"])
    assert body["milliseconds"]["remember"] > 0
    for number in told["memories"]:
        found = shop.get("/memory", headers=token(name)).json()["memories"]
        assert word in next(m["text"] for m in found if m["number"] == number)
    left = [card["id"] for card in plain["items"] if not has(word, card)]
    shown = [card["id"] for card in body["items"]]
    assert [item for item in shown if item in left] == left, "the order of the rest stays"


def test_what_is_forgotten_or_taken_back_stops_at_once(shop: TestClient) -> None:
    plain = window(shop, None, k=5)["items"]
    word = plain[0]["category"].lower().split()[-1]
    for stop in ("one", "everything", "word"):
        name = f"stopper-{stop}"
        number = tell(shop, name, f"I don't like {word}")
        assert not any(has(word, card) for card in window(shop, name, k=5, history=[])["items"])
        if stop == "one":
            shop.delete(f"/memory/{number}", headers=token(name))
        elif stop == "everything":
            shop.post("/memory/forget", json={"everything": True}, headers=token(name))
        else:
            tell(shop, name, f"I like {word}")
        body = window(shop, name, k=5, history=[])
        assert [card["id"] for card in body["items"]] == [card["id"] for card in plain]
        assert body["kept_out"] == []


def test_another_persons_dislikes_change_nothing(shop: TestClient) -> None:
    word = window(shop, None, k=5)["items"][0]["category"].lower().split()[-1]
    tell(shop, "hater", f"I hate {word}")
    mine = window(shop, "lover", k=20, history=[])
    plain = window(shop, None, k=20)
    assert [c["id"] for c in mine["items"]] == [c["id"] for c in plain["items"]]
    assert "kept_out" not in plain


def test_a_token_is_that_of_who_is_asked_for(shop: TestClient, exported: Exported) -> None:
    one = window(shop, "visitor-00003", k=5)
    two = window(shop, None, user="visitor-00003", k=5)
    assert [c["id"] for c in one["items"]] == [c["id"] for c in two["items"]]
    done = shop.post("/recommend", json={"user": "visitor-00004"}, headers=token("visitor-00003"))
    assert done.status_code == 403
    done = shop.post("/recommend", json={}, headers=token("visitor-00003", key=b"x" * 16))
    assert done.status_code == 401
    assert done.headers["www-authenticate"].startswith("Bearer")
    for given, status in (("Basic YTpi", 200), ("Bearer", 401), ("bearer x", 401)):
        done = shop.post("/recommend", json={}, headers={"authorization": given})
        assert done.status_code == status


def test_where_everything_is_refused_nothing_is_shown(shop: TestClient) -> None:
    cards = window(shop, None, k=120)["items"]
    for word in {card["category"].lower().split()[-1] for card in cards}:
        tell(shop, "hermit", f"Never {word}")
    for history in ([], ["item-00003"]):
        body = window(shop, "hermit", k=10, history=history)
        assert body["items"] == []
        assert body["degraded"] is False


def test_a_memory_that_fails_shows_nothing_rather_than_what_was_refused(
    shop: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*asked: object) -> None:
        raise RuntimeError("I hate a-secret")

    monkeypatch.setattr("etalage.memory.user.UserMemory.facts", failing)
    done = shop.post("/recommend", json={}, headers=token("ann"))
    assert done.status_code == 500
    assert "a-secret" not in done.text
    assert window(shop, None, k=3)["items"]


def test_a_new_catalogue_is_filtered_by_its_own_words(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "bundle"))
    keeper = Keeper.open(tmp_path / "memory.sqlite", KEY)
    app = create_app(folder, keeper=keeper)
    with TestClient(app) as client:
        tell(client, "ann", "never zeppelins")
        assert window(client, "ann", k=3, history=[])["kept_out"][0]["n_items"] == 0
        items = json.loads((folder / "items.json").read_text())
        items["titles"] = ["A zeppelin"] * 60 + items["titles"][60:]
        (folder / "items.json").write_text(json.dumps(items))
        monkeypatch.setattr("etalage.serve.runtime.engine.read_manifest", lambda path: json.loads(
            (path / "manifest.json").read_text()))  # fmt: skip
        app.state.live.engine = Engine(folder)
        body = window(client, "ann", k=120, history=[])
        assert body["kept_out"][0]["n_items"] == 60
        assert len(body["items"]) == 60


def test_a_server_without_a_memory_knows_of_none(client: TestClient) -> None:
    body = window(client, "ann", k=3, history=[])
    assert "kept_out" not in body
    assert client.get("/memory", headers=token("ann")).status_code == 404
    assert client.get("/remembered").status_code == 404


def test_a_memory_alone_recommends_nothing(tmp_path: Path) -> None:
    with served(tmp_path / "memory.sqlite") as (client, _):
        assert client.post("/recommend", json={}, headers=token("ann")).status_code == 404
