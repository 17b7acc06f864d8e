"""Pictures on the cards: seen with their mark, found by name alone, and nothing changes without."""

import hashlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tests.browser import chromium, faults
from tests.conftest import Exported
from tests.creative.showing import written
from tests.serve.listening import listening

from etalage.errors import BundleError, DataError
from etalage.pipeline.creatives import install_creatives
from etalage.serve.bundle import change_bundle, read_manifest
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.engine import Engine

ITEMS = ("item-00003", "item-00005", "item-00007")


@pytest.fixture
def dressed(bundle: Path, tmp_path: Path) -> Path:
    install_creatives(bundle, written(tmp_path / "creatives", *ITEMS))
    return bundle


@pytest.fixture
def shop(dressed: Path) -> Iterator[TestClient]:
    with TestClient(create_app(dressed)) as client:
        yield client


def card_of(client: TestClient, item: str) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"/items/{item}").json()
    return body


def test_a_card_tells_of_its_picture_and_that_it_was_generated(shop: TestClient) -> None:
    told = card_of(shop, ITEMS[0])["creative"]
    assert told["mark"] == "generated picture"
    assert told["words"] == f"a red mug of {ITEMS[0]}"
    assert (told["width"], told["height"]) == (640, 480)
    done = shop.get(told["url"])
    assert done.status_code == 200
    assert done.headers["content-type"] == "image/webp"
    assert "immutable" in done.headers["cache-control"]
    image = Image.open(io.BytesIO(done.content))
    assert image.size == (640, 480)
    assert image.getexif()[0x010E] == f"generated picture: a red mug of {ITEMS[0]}"
    red, green, blue = np.asarray(image.convert("RGB"))[240, 320]
    assert red > 150 > max(green, blue)
    assert "creative" not in card_of(shop, "item-00001")


def test_the_list_tells_of_them_as_well(shop: TestClient) -> None:
    cards = shop.post("/recommend", json={"history": ["item-00001"], "k": 100}).json()["items"]
    assert {card["id"] for card in cards if "creative" in card} == {*ITEMS}


def test_no_picture_is_shown_without_its_mark(bundle: Path, tmp_path: Path) -> None:
    install_creatives(bundle, written(tmp_path / "all", *(f"item-{n:05d}" for n in range(120))))
    with TestClient(create_app(bundle)) as client:
        text = client.get("/", params={"visitor": "visitor-00003"}).text
    mark = '<span class="mark">generated picture</span>'
    assert re.findall(rf"<img [^>]+>(.{{{len(mark)}}})", text) == [mark] * 12


def test_words_cannot_smuggle_anything_in(bundle: Path, tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    items = [f"item-{n:05d}" for n in range(120)]
    install_creatives(bundle, written(tmp_path / "evil", *items, words=evil))
    with TestClient(create_app(bundle)) as client:
        text = client.get("/").text
    assert text.count("<img ") == 12
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_without_pictures_nothing_changes(
    client: TestClient, shop: TestClient, exported: Exported
) -> None:
    asked = {"history": ["item-00001", "item-00002"], "k": 12}
    plain = client.post("/recommend", json=asked).json()["items"]
    with_pictures = shop.post("/recommend", json=asked).json()["items"]
    assert [{k: v for k, v in c.items() if k != "creative"} for c in with_pictures] == plain
    assert "<img" not in client.get("/").text
    assert "mark" not in client.get("/").text
    assert "creatives" not in json.dumps(read_manifest(exported.folder))


@pytest.mark.parametrize(
    "name",
    [
        "0000000000000000.webp", "", "%2e%2e", "../manifest.json", "..%2Fmanifest.json",
        "%2e%2e%2fitems.json",
        "pictures.bin", "creatives.json", "/etc/hostname", "%00", "x" * 5000, "é.webp",
    ],
)  # fmt: skip
def test_what_is_no_picture_is_not_found(shop: TestClient, name: str) -> None:
    done = shop.get(f"/creatives/{name}")
    assert done.status_code == 404
    assert done.headers["content-type"] == "application/json"
    assert len(done.content) < 6000


def test_items_that_are_not_sold_are_told_and_left_out(bundle: Path, tmp_path: Path) -> None:
    done = install_creatives(bundle, written(tmp_path / "some", "item-00003", "sku-1", "sku-2"))
    assert (done.n_items, done.unknown) == (1, ["sku-1", "sku-2"])
    before = read_manifest(bundle)
    with pytest.raises(BundleError, match="no picture of an item that the bundle sells"):
        install_creatives(bundle, written(tmp_path / "none", "sku-1", None))
    assert read_manifest(bundle) == before


def test_the_best_picture_of_an_item_is_shown(bundle: Path, tmp_path: Path) -> None:
    folder = written(tmp_path / "two", "item-00003", "item-00003")
    first = json.loads((folder / "creatives.json").read_text())["files"]
    install_creatives(bundle, folder)
    [told] = json.loads((bundle / "creatives" / "creatives.json").read_text())["of"].values()
    assert told["sha256"] == next(iter(first.values()))


def test_a_name_is_the_hash_of_what_is_served(bundle: Path, tmp_path: Path) -> None:
    """Browsers keep it for ever: other words about the same picture are another file."""
    names = set()
    for words in ("a red mug", "a red mug, in a kitchen"):
        install_creatives(bundle, written(tmp_path / words, *ITEMS[:1], words=words))
        with TestClient(create_app(bundle)) as client:
            url = card_of(client, ITEMS[0])["creative"]["url"]
            content = client.get(url).content
        assert url == f"/creatives/{hashlib.sha256(content).hexdigest()[:16]}.webp"
        names.add(url)
    assert len(names) == 2


def test_items_that_are_alike_share_a_picture(bundle: Path, tmp_path: Path) -> None:
    folder = written(tmp_path / "one", *ITEMS, words="a red mug")
    sizes = []
    for is_alike in (False, True):
        facts = json.loads((folder / "creatives.json").read_text())
        if is_alike:
            for told in facts["creatives"]:
                told["picture"] = facts["creatives"][0]["picture"]
            (folder / "creatives.json").write_text(json.dumps(facts))
        install_creatives(bundle, folder)
        sizes.append((bundle / "creatives" / "pictures.bin").stat().st_size)
        assert len(Engine(bundle).catalogue.creatives.of) == 3
    assert sizes[1] < sizes[0] / 2


def test_new_pictures_take_the_place_of_the_old(dressed: Path, tmp_path: Path) -> None:
    install_creatives(dressed, written(tmp_path / "new", "item-00009"))
    catalogue = Engine(dressed).catalogue
    assert [catalogue.ids.ids[item] for item in catalogue.creatives.of] == ["item-00009"]


def test_new_pictures_take_the_place_of_broken_ones(dressed: Path, tmp_path: Path) -> None:
    edited(dressed, lambda facts, at: facts.clear())
    install_creatives(dressed, written(tmp_path / "new", "item-00009"))
    assert len(Engine(dressed).catalogue.creatives.of) == 1


def test_a_file_that_is_no_picture_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    before = read_manifest(bundle)
    folder = written(tmp_path / "wrong", "item-00003", content=b"<html>no picture</html>")
    with pytest.raises(DataError, match="cannot be read as a picture"):
        install_creatives(bundle, folder)
    assert read_manifest(bundle) == before


def edited(bundle: Path, change: Any) -> None:
    """Changes what a bundle tells of its pictures, hashes and all."""

    def edit(draft: Path) -> None:
        path = draft / "creatives" / "creatives.json"
        facts = json.loads(path.read_text())
        change(facts, draft / "creatives")
        path.write_text(json.dumps(facts))

    change_bundle(bundle, edit)


def first_of(facts: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = facts["of"][ITEMS[0]]
    return told


@pytest.mark.parametrize(
    "harm",
    [
        lambda facts, at: facts["of"].update({"sku-1": first_of(facts)}),
        lambda facts, at: first_of(facts).update(name="../../manifest.json"),
        lambda facts, at: first_of(facts).update(at=[0, 10**9]),
        lambda facts, at: first_of(facts).update(at=[-5, 40]),
        lambda facts, at: first_of(facts).update(at=[40, 20]),
        lambda facts, at: first_of(facts).pop("words"),
        lambda facts, at: facts.clear(),
        lambda facts, at: (at / "pictures.bin").unlink(),
        lambda facts, at: (at / "pictures.bin").write_bytes(b"<html>no picture of any kind</html>"),
        lambda facts, at: (at / "pictures.bin").write_bytes(b""),
    ],
)
def test_a_bundle_that_tells_of_what_is_not_there_is_refused(dressed: Path, harm: Any) -> None:
    edited(dressed, harm)
    with pytest.raises(BundleError, match="cannot be served"):
        Engine(dressed)


def test_a_changed_picture_breaks_the_bundle(dressed: Path) -> None:
    path = dressed / "creatives" / "pictures.bin"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"pictures\.bin was changed"):
        Engine(dressed)


def test_pictures_stay_readable_while_a_bundle_is_swapped(dressed: Path, tmp_path: Path) -> None:
    engine = Engine(dressed)
    names = [told["url"].rpartition("/")[2] for told in engine.catalogue.creatives.of.values()]
    before = [engine.catalogue.creatives.picture(name) for name in names]
    install_creatives(dressed, written(tmp_path / "new", "item-00009"))
    assert [engine.catalogue.creatives.picture(name) for name in names] == before
    assert None not in before


def test_a_server_takes_new_pictures_up(bundle: Path, tmp_path: Path) -> None:
    with TestClient(create_app(bundle, poll_seconds=3600)) as client:
        assert "creative" not in card_of(client, ITEMS[0])
        install_creatives(bundle, written(tmp_path / "late", *ITEMS))
        client.portal.call(client.app.state.live.refresh)  # type: ignore[union-attr,attr-defined]
        assert client.get(card_of(client, ITEMS[0])["creative"]["url"]).status_code == 200


def test_pictures_are_served_without_torch_or_pillow(dressed: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from fastapi.testclient import TestClient\n"
        "from etalage.serve.runtime.app import create_app\n"
        "with TestClient(create_app(Path(sys.argv[1]))) as client:\n"
        f"    card = client.get('/items/{ITEMS[0]}').json()\n"
        "    assert client.get(card['creative']['url']).status_code == 200\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'PIL', 'polars', 'etalage.creative'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(dressed)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_pictures_stand_on_their_cards(bundle: Path, tmp_path: Path, width: int) -> None:
    items = [f"item-{n:05d}" for n in range(0, 120, 2)]
    install_creatives(bundle, written(tmp_path / "many", *items))
    with listening(create_app(bundle)) as address, chromium(width) as page:
        wrong = faults(page)
        page.goto(address)
        shown = page.locator(".card img")
        assert 0 < shown.count() < 12
        for n in range(shown.count()):
            shown.nth(n).scroll_into_view_if_needed()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert page.locator(".card .mark").count() == shown.count()
        mark = page.locator(".card .mark").first
        assert mark.is_visible()
        assert mark.inner_text() == "generated picture"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert wrong == []
