"""The shop-window page: what it says, that nothing can be smuggled in, and how it stands."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.browser import chromium, faults
from tests.conftest import Exported
from tests.serve.listening import listening

from etalage.ids import Vocabulary
from etalage.pipeline.export import export_bundle
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.catalogue import Catalogue


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


def begins_with(exported: Exported, prefix: list[int]) -> np.ndarray:
    assert exported.served.ids is not None
    return np.flatnonzero((exported.served.ids.codes[:, : len(prefix)] == prefix).all(1))


def test_a_tile_leads_to_what_is_spelled_alike(client: TestClient, exported: Exported) -> None:
    assert exported.served.ids is not None
    assert exported.shop.data.item_table is not None
    popularity = exported.shop.data.interactions.popularity()
    for item in (3, 50):
        codes = exported.served.ids.codes[item].tolist()
        for length in range(1, len(codes) + 1):
            prefix = "-".join(map(str, codes[:length]))
            done = client.get("/", params={"visitor": "visitor-00003", "prefix": prefix})
            assert done.status_code == 200
            section = done.text.split('id="alike"')[1].split("</section>")[0]
            same = begins_with(exported, codes[:length])
            heading = f"{len(same)} item{'s' if len(same) != 1 else ''}"
            assert f"<small>{heading}" in section
            assert section.count("<li>") == min(len(same), 12)
            assert ("the 12 most popular shown" in section) == (len(same) > 12)
            order = same[np.argsort(-popularity[same], kind="stable")][:12]
            titles = exported.shop.data.item_table["title"][order].to_list()
            assert re.findall(r"</div><span>(.*?)</span>", section) == titles
            assert 'name="visitor" value="visitor-00003"' in done.text


def test_a_typed_history_is_kept_beside_a_prefix(client: TestClient, exported: Exported) -> None:
    assert exported.served.ids is not None
    code = exported.served.ids.codes[3, 0]
    text = client.get("/", params={"history": 'item-00003\n"><b>', "prefix": f" {code} "}).text
    assert "Spelled alike" in text
    assert 'name="history" value="item-00003\n&#34;&gt;&lt;b&gt;"' in text


@pytest.mark.parametrize(
    ("prefix", "status", "said"),
    [
        ("7777", 404, "No item’s codes begin 7777."),
        ("7777-1", 404, "No item’s codes begin 7777-1."),
        ("0-1-2-3-4-5-6", 422, "; this one has 7."),
        ("twelve", 422, "A prefix is 1 to"),
        ("-", 422, "A prefix is 1 to"),
        ("1-", 422, "A prefix is 1 to"),
        ("-1", 422, "A prefix is 1 to"),
        ("1--2", 422, "A prefix is 1 to"),
        ("1.5", 422, "A prefix is 1 to"),
        ("١٢", 422, "A prefix is 1 to"),
        ("9" * 50, 422, "A prefix is 1 to"),
        ("-".join(map(str, range(10_000))), 422, "A prefix is 1 to"),
        ("<script>alert(1)</script>", 422, "A prefix is 1 to"),
        ("1\n2\x00", 422, "A prefix is 1 to"),
    ],
)
def test_a_prefix_that_is_none_is_answered_with_a_page(
    client: TestClient, prefix: str, status: int, said: str
) -> None:
    done = client.get("/", params={"prefix": prefix})
    assert done.status_code == status
    assert said in done.text
    assert "<script" not in done.text
    assert done.text.count('class="card"') == 12
    assert len(done.text) < 60_000


def test_a_prefix_in_a_shop_without_codes(exported: Exported, tmp_path: Path) -> None:
    served = replace(exported.served, ids=None)
    export_bundle(tmp_path / "plain", exported.shop.data, served, exported.recipe)
    with TestClient(create_app(tmp_path / "plain")) as plain:
        done = plain.get("/", params={"prefix": "1"})
    assert done.status_code == 404
    assert "The items of this shop have no codes." in done.text
    assert "<button form" not in done.text


@settings(max_examples=60, deadline=None)
@given(prefix=st.text("0123456789-", max_size=12) | st.text(max_size=20))
def test_whatever_prefix_is_asked_there_is_a_page(client: TestClient, prefix: str) -> None:
    assert client.get("/", params={"prefix": prefix}).status_code in (200, 404, 422)


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
    with listening(create_app(exported.folder)) as address:
        yield address


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
        page.locator(".card .tiles button").first.click()
        assert page.locator("#alike li").count() >= 1
        assert page.locator(".past").first.locator("li").count() == min(before + 1, 18)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("#alike .tiles.steps .close").click()
        assert page.locator("#alike").count() == 0
        page.fill("#visitor", "visitor-00005")
        page.get_by_role("button", name="Show").first.click()
        assert "visitor-00005" in page.locator("#past").inner_text()
        assert wrong == []
