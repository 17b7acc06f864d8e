"""The page of memories: to whom it is shown, what it says, and that no other site can press it."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.browser import chromium, faults
from tests.conftest import Exported
from tests.serve.listening import listening
from tests.serve.remembering import KEY, token

from etalage.memory.events import observed
from etalage.memory.statement import Statement
from etalage.memory.tokens import issue
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.keeper import Keeper

SECTION = 'id="remembered"'


@pytest.fixture(scope="module")
def shop(
    exported: Exported, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Keeper]]:
    keeper = Keeper.open(tmp_path_factory.mktemp("memory") / "memory.sqlite", KEY)
    app = create_app(exported.folder, keeper=keeper)
    with TestClient(app, follow_redirects=False) as client:
        yield client, keeper


@pytest.fixture
def opened(shop: tuple[TestClient, Keeper]) -> Iterator[tuple[TestClient, Keeper]]:
    """A client that opened the link."""
    client, keeper = shop
    done = client.get("/remembered", params={"key": keeper.page_key})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    yield shop
    client.cookies.clear()


def form(client: TestClient, visitor: str) -> dict[str, str]:
    text = client.get("/", params={"visitor": visitor}).text
    names = re.findall(r'<input type="hidden" name="(visitor|seal)" value="(.*?)">', text)
    return {name: unescape(value) for name, value in names}


def test_memories_are_shown_to_who_opened_the_link_alone(shop: tuple[TestClient, Keeper]) -> None:
    client, keeper = shop
    keeper.store.user("shown").write("I like zithers")
    for cookie in ("", "etalage_page=", f"etalage_page={'x' * 43}", "etalage_page=ü"):
        done = client.get("/", params={"visitor": "shown"}, headers={"cookie": cookie.encode()})
        assert done.status_code == 404, "someone who is only remembered is not known here"
        assert SECTION not in done.text
        assert "zithers" not in done.text
        assert client.get("/remembered/export?visitor=shown").status_code == 403
    assert client.get("/remembered", params={"key": "x"}).status_code == 403
    assert client.get("/remembered").status_code == 403
    assert client.get("/", params={"visitor": "shown"}, headers=token("shown")).status_code == 404
    done = client.get("/remembered", params={"key": keeper.page_key})
    assert "HttpOnly" in done.headers["set-cookie"]
    assert "SameSite=strict" in done.headers["set-cookie"]
    page = client.get("/", params={"visitor": "shown"})
    client.cookies.clear()
    assert page.status_code == 200
    assert SECTION in page.text
    assert "zithers" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_the_page_tells_what_is_remembered_and_since_when(
    opened: tuple[TestClient, Keeper],
) -> None:
    client, keeper = opened
    ann = keeper.store.user("visitor-00003")
    at = 1_700_000_000_000  # 14 November 2023, 22:13:20 UTC
    ann.write("I moved to Lyon", said_at=at)
    ann.write("My sister likes jazz", said_at=at + 60_000)
    ann.write(observed("rated", "Red mug", at + 120_000, rating=5))
    ann.write("I don't like Lyon any more", until=4_102_444_800_000)
    text = client.get("/", params={"visitor": "visitor-00003"}).text
    section = text.split(SECTION)[1].split("</section>")[0]
    flat = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", section))
    assert "What the shop remembers about visitor-00003 4 memories" in flat
    assert "lives in Lyon since 14 Nov 2023, 22:13 · from #1" in flat
    assert "sister: likes jazz since 14 Nov 2023, 22:14 · from #2" in flat
    assert "80 % sure" in flat
    assert "does not like Lyon" in flat
    assert "until 1 Jan 2100, 00:00" in flat
    assert "Not wanted, but no item is called so: <b>Lyon</b>." in text
    assert section.count('name="numbers"') == 4 + 4


def test_buttons_forget_one_a_belief_or_everything(opened: tuple[TestClient, Keeper]) -> None:
    client, keeper = opened
    ann = keeper.store.user("presser")
    ann.write_many(["I like tea", "I like TEA", "I own a cat", "I own a dog"])
    fields = form(client, "presser")
    assert set(fields) == {"visitor", "seal"}
    done = client.post("/remembered", data=fields | {"numbers": "1 2"})
    assert done.status_code == 303
    assert done.headers["location"] == "/?visitor=presser&forgot=2#remembered"
    page = client.get(done.headers["location"]).text
    assert "Forgotten: 2 memories, and what followed from them." in page
    assert [memory.number for memory in ann.memories()] == [3, 4]
    client.post("/remembered", data=fields | {"numbers": "3"})
    assert [memory.number for memory in ann.memories()] == [4]
    done = client.post("/remembered", data=fields | {"everything": "yes"})
    assert ann.count() == 0
    page = client.get(done.headers["location"])
    assert page.status_code == 404
    assert "Nothing is remembered of this visitor." in page.text


def test_no_other_site_and_no_old_form_can_forget(opened: tuple[TestClient, Keeper]) -> None:
    client, keeper = opened
    for name in ("target", "other"):
        keeper.store.user(name).write("I like tea")
    fields = form(client, "target") | {"everything": "yes"}
    other = form(client, "other")["seal"]
    old = issue(keeper.page_key.encode(), "target", 1)
    forged = issue(b"x" * 43, "target", 2**50)

    def pressed(change: dict[str, str], headers: dict[str, str] | None = None) -> int:
        return client.post("/remembered", data=fields | change, headers=headers).status_code

    for seal in (other, old, forged, "", "x"):
        assert pressed({"seal": seal}) == 403
    assert pressed({"visitor": "other"}) == 403
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        assert pressed({}, {"origin": origin}) == 403
    for numbers in ("", "x", "-1", "1.5", "9" * 40):
        assert pressed({"everything": "no", "numbers": numbers}) == 422
    cookie = client.cookies["etalage_page"]
    client.cookies.clear()
    assert pressed({}) == 403
    assert pressed({}, {"authorization": token("target")["authorization"]}) == 403
    client.cookies["etalage_page"] = cookie
    assert client.post("/remembered", content=b"\xff=\xfe").status_code in (400, 403)
    assert keeper.store.user("target").count() == 1
    assert keeper.store.user("other").count() == 1
    assert pressed({}, {"origin": "http://testserver"}) == 303
    assert keeper.store.user("target").count() == 0


def test_the_page_exports_what_is_remembered(opened: tuple[TestClient, Keeper]) -> None:
    client, keeper = opened
    keeper.store.user("an & b=c").write("I like tea")
    text = client.get("/", params={"visitor": "an & b=c"}).text
    link = unescape(re.findall(r'<a href="(/remembered/export.*?)"', text)[0])
    done = client.get(link)
    assert done.status_code == 200
    assert b"I like tea" in done.content
    assert client.get("/remembered/export", params={"visitor": " "}).status_code == 422


NASTY = '"><script>alert(1)</script><img src=x onerror=alert(1)> \x00 {{ 7*7 }}'


def test_memories_cannot_smuggle_anything_in(opened: tuple[TestClient, Keeper]) -> None:
    client, keeper = opened
    name = "n'" + NASTY
    keeper.store.user(name).write_many([NASTY, f"I like {NASTY}", f"my {'b' * 30} is {NASTY}"])
    done = client.get("/", params={"visitor": name})
    assert done.status_code == 200
    assert "&lt;script&gt;" in done.text
    assert done.text.count("{{ 7*7 }}") > 5, "a text is no template"
    for mark in ("<script", "<img"):
        assert mark not in done.text
    done = client.post("/remembered", data=form(client, name) | {"everything": "yes"})
    assert done.status_code == 303
    assert keeper.store.user(name).count() == 0


def test_much_is_cut_and_the_page_stays_one(opened: tuple[TestClient, Keeper]) -> None:
    client, keeper = opened
    keeper.store.user("talker").write_many(
        [Statement("x" * 90_000), *(Statement(f"I like thing{n}") for n in range(130))]
    )
    done = client.get("/", params={"visitor": "talker"})
    assert "and 31 older ones, which the export has" in done.text
    assert "<summary>123 older</summary>" in done.text
    assert "<summary>122 more</summary>" in done.text
    assert "and 30 that are not shown" in done.text
    assert len(done.text) < 250_000
    assert client.get("/", params={"visitor": "y" * 600}).status_code == 404
    assert SECTION not in client.get("/").text
    assert (
        SECTION not in client.get("/", params={"visitor": "talker", "history": "item-00003"}).text
    )


@pytest.fixture(scope="module")
def address(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    keeper = Keeper.open(tmp_path_factory.mktemp("memory") / "memory.sqlite", KEY)
    with listening(create_app(exported.folder, keeper=keeper)) as address:
        yield address, keeper


TOLD = ["I'm allergic to nuts", "I moved to Lyon last week", "I don't like velvet",
        "My shoe size is 42", "我喜欢茶",
        "My sister likes jazz and I have to find her something nice before the 3rd of December, "
        "ideally something small that fits into a letter"]  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(375, "light"), (1440, "dark")])
def test_the_page_of_memories_stands_in_a_browser(
    address: tuple[str, Keeper], width: int, scheme: str, tmp_path: Path
) -> None:
    place, keeper = address
    ann = keeper.store.user("visitor-00003")
    ann.erase()
    ann.write_many(TOLD)
    with chromium(width, scheme) as page:
        wrong = faults(page)
        page.goto(f"{place}/?visitor=visitor-00003")
        assert page.locator("#remembered").count() == 0
        page.goto(f"{place}/remembered?key={keeper.page_key}")
        page.goto(f"{place}/?visitor=visitor-00003")
        section = page.locator("#remembered")
        assert "6 memories" in section.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        section.locator("#memory-3 .forget").click()
        assert "Forgotten: 1 memory" in section.inner_text()
        assert section.locator("#memory-3").count() == 0
        with page.expect_download() as download:
            section.get_by_role("link", name="Export").click()
        assert len(Path(download.value.path()).read_text().splitlines()) == 6
        assert not section.get_by_role("button", name="Forget everything").is_visible()
        section.locator(".end summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        section.get_by_role("button", name="Forget everything").click()
        assert "Nothing is remembered" in section.inner_text()
        assert ann.count() == 0
        # Chromium calls a page that turned out to be a download a failed one
        assert [fault for fault in wrong if "/remembered/export" not in fault] == []
