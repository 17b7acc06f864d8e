"""The shop-window page: what it says, that nothing can be smuggled in, and how it stands."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient
from tests.browser import chromium, faults
from tests.conftest import Exported

from etalage.ids import Vocabulary
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.catalogue import Catalogue
from etalage.serve.runtime.wire import OneWrite


def test_a_visitor_sees_history_and_window(client: TestClient) -> None:
    text = client.get("/", params={"visitor": "visitor-00003"}).text
    assert "What visitor-00003 looked at" in text
    assert text.count('class="card"') == 12
    assert "chance of a click" in text
    assert "because of" in text


def test_a_typed_history_takes_ids_and_words(client: TestClient, exported: Exported) -> None:
    assert exported.shop.data.item_table is not None
    title = exported.shop.data.item_table["title"][7]
    text = client.get("/", params={"history": f"item-00003\n{title.lower()}, zzz"}).text
    assert "2 in all" in text
    assert "Not in the catalogue: zzz" in text


def test_the_newest_lines_are_searched_first(client: TestClient, exported: Exported) -> None:
    """Blank lines and what was asked before cost nothing; the order of what is found stays."""
    assert exported.shop.data.item_table is not None
    first, second = exported.shop.data.item_table["title"][[7, 9]]
    lines = [*(f"zzz{n}" for n in range(60)), first, *["", "zzz0", "zzz1"] * 5, second]
    history = client.get("/", params={"history": "\n".join(lines)}).text
    assert "2 in all" in history
    assert first in history
    assert second in history


def test_someone_new_and_someone_unknown(client: TestClient) -> None:
    assert "No history yet" in client.get("/").text
    done = client.get("/", params={"visitor": "<script>alert(1)</script>"})
    assert done.status_code == 404
    assert "<script" not in done.text
    assert "&lt;script&gt;" in done.text


def test_titles_cannot_smuggle_anything_in(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = json.loads((bundle / "items.json").read_text())
    items["titles"] = ['"><script>alert(1)</script>'] * len(items["ids"])
    items["categories"] = ["<img src=x onerror=alert(1)>"] * len(items["ids"])
    (bundle / "items.json").write_text(json.dumps(items))
    monkeypatch.setattr("etalage.serve.runtime.engine.read_manifest", lambda folder: json.loads(
        (folder / "manifest.json").read_text()))  # fmt: skip
    with TestClient(create_app(bundle)) as client:
        text = client.get("/", params={"history": "item-00003"}).text
    assert "<script" not in text
    assert "<img" not in text


def test_no_script_may_run(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")


def test_a_long_list_is_cut(client: TestClient) -> None:
    text = client.get("/", params={"history": "item-00003," * 150}).text
    assert "100 in all" in text


def test_a_page_that_fails_says_so_kindly(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etalage.serve.runtime.page.N_SHOWN", "many")
    with TestClient(create_app(exported.folder)) as client:
        done = client.get("/")
    assert done.status_code == 500
    assert "closed for a moment" in done.text


def test_search_prefers_ids_then_short_titles(exported: Exported) -> None:
    catalogue = Catalogue.load(exported.folder)
    assert catalogue.search("item-00003") == [3]
    assert catalogue.search("") == []
    word = catalogue.titles[5].split()[-1]
    found = catalogue.search(word.upper(), most=100)
    assert all(word in catalogue.titles[i] for i in found)
    assert [len(catalogue.titles[i]) for i in found] == sorted(
        len(catalogue.titles[i]) for i in found
    )


LETTERS = "abcdefghijklmnop"


class Counting(str):
    """A title that counts how often it is looked at."""

    n_looks = 0

    def lower(self) -> "Counting":
        return self

    def __contains__(self, word: str) -> bool:  # type: ignore[override]
        Counting.n_looks += 1
        return super().__contains__(word)


def test_a_search_looks_at_each_title_a_few_times_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "n_looks", 0)
    catalogue = Catalogue(Vocabulary(["one", "two"]), [Counting(LETTERS)] * 2, ["", ""], None)
    assert catalogue.search("a " * 1000) == [0]
    assert Counting.n_looks == 2
    assert catalogue.search(" ".join(LETTERS)) == [0]
    assert Counting.n_looks == 2 + 2 * 10


def test_a_page_searches_titles_a_few_times_and_finds_every_id(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []
    search = Catalogue.search
    monkeypatch.setattr(
        Catalogue, "search", lambda *asked: searched.append(asked[1]) or search(*asked)
    )
    lines = [f"zzz {n}" for n in range(90)] + [f"item-0000{n}" for n in range(10)]
    text = client.get("/", params={"history": "\n".join(lines)}).text
    assert "10 in all" in text
    assert "zzz 89" in text
    assert sum(words.startswith("zzz") for words in searched) == 30


def test_of_a_long_text_the_newest_whole_items_are_read(client: TestClient) -> None:
    text = client.get("/", params={"history": "x" * 20_000 + "\n" + "item-00003\n" * 9}).text
    assert "9 in all" in text
    assert len(text) < 60_000


@pytest.fixture(scope="module")
def address(exported: Exported) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(create_app(exported.folder), port=port, http=OneWrite, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(5)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_the_page_stands_in_a_browser(address: str, width: int, scheme: str) -> None:
    with chromium(width, scheme) as page:
        wrong = faults(page)
        page.goto(f"{address}/?visitor=visitor-00003")
        assert page.locator(".card svg").count() == 12
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        before = page.locator(".past li").count()
        page.locator(".card .add").first.click()
        assert page.locator(".past li").count() == min(before + 1, 18)
        page.fill("#visitor", "visitor-00005")
        page.get_by_role("button", name="Show").first.click()
        assert "visitor-00005" in page.locator("#past").inner_text()
        assert wrong == []
