"""The store of pictures: whole or not at all, found again, mended, and kept small."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.creative.drawing import PAIRS, PROMPT, Painter, Reader

from etalage.creative.guidance import Guidance
from etalage.creative.maker import Maker
from etalage.creative.request import Request
from etalage.creative.store import Creative, CreativeStore
from etalage.errors import CapacityError, DataError

ASKED = Request(PROMPT, PAIRS, Guidance())
MAKER = Maker("Painter", "00", {}, {}, "float32", "cpu", {"etalage": "0"})


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8))


@pytest.fixture
def store(tmp_path: Path) -> CreativeStore:
    return CreativeStore(tmp_path / "store")


def put(store: CreativeStore, seed: int) -> Creative:
    return store.put(replace(ASKED, seed=seed), MAKER, picture(seed))


def test_a_picture_is_found_again_with_all_that_made_it(store: CreativeStore) -> None:
    assert store.get(ASKED, MAKER) is None
    masks = np.zeros((3, 2, 4, 4), dtype=bool)
    masks[1, 0, 2] = True
    arrays = {"masks": masks, "objects": np.array(["mug", "bowl"])}
    kept = store.put(ASKED, MAKER, picture(), arrays, seconds=1.5)
    found = CreativeStore(store.folder).get(ASKED, MAKER)
    assert found is not None
    assert found == kept
    assert np.array_equal(np.asarray(found.image()), np.asarray(picture()))
    assert np.array_equal(found.coherence()["masks"], masks)
    assert found.coherence()["objects"].tolist() == ["mug", "bowl"]
    assert found.request == json.loads(json.dumps(ASKED.told()))
    assert found.facts["maker"] == MAKER.told()
    assert found.pairs == [*PAIRS]
    assert store.get(replace(ASKED, seed=1), MAKER) is None
    assert store.get(ASKED, replace(MAKER, device="cuda")) is None


def test_the_first_picture_stays(store: CreativeStore) -> None:
    first = store.put(ASKED, MAKER, picture(1))
    assert store.put(ASKED, MAKER, picture(2)).sha256 == first.sha256


@pytest.mark.parametrize("name", ["picture.png", "creative.json", "coherence.npz"])
@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_damaged_entry_is_missing_and_is_made_anew(
    store: CreativeStore, name: str, harm: str
) -> None:
    arrays = {"masks": np.ones((1, 1, 2, 2), dtype=bool)}
    whole = store.put(ASKED, MAKER, picture(), arrays)
    path = whole.folder / name
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        flipped = content[:40] + bytes([content[40] ^ 1]) + content[41:]
        path.write_bytes(content[:-9] if harm == "cut" else flipped)
    if name == "creative.json" and harm == "changed":
        path.write_bytes(content.replace(whole.sha256.encode(), b"0" * 64))
    assert store.get(ASKED, MAKER) is None
    assert list(store.creatives()) == []
    mended = store.put(ASKED, MAKER, picture(), arrays)
    assert mended.sha256 == whole.sha256
    assert store.get(ASKED, MAKER) is not None
    assert len(list(store.creatives())) == 1


@pytest.mark.parametrize(
    "told", ["[]", "7", "{}", '{"etalage_creative": 1, "files": []}', "[" * 9999]
)
def test_odd_markers_are_damage_and_no_crash(store: CreativeStore, told: str) -> None:
    put(store, 0)
    (next(store.creatives()).folder / "creative.json").write_text(told)
    assert store.get(replace(ASKED, seed=0), MAKER) is None


def test_what_fails_leaves_nothing(store: CreativeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Image.Image):
        def save(self, *args: object, **kwargs: object) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(CapacityError, match="is full"):
        store.put(ASKED, MAKER, Full())
    assert store.get(ASKED, MAKER) is None
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_a_verdict_is_asked_for_once(store: CreativeStore) -> None:
    made, judge = put(store, 0), Reader()
    first = store.verdict(made, judge, PAIRS)
    assert store.verdict(made, judge, PAIRS) == first
    assert CreativeStore(store.folder).verdict(made, judge, PAIRS) == first
    assert judge.n_looks == 1
    store.verdict(made, judge, PAIRS[:1])
    assert judge.n_looks == 2
    other = Reader(threshold=0.9)
    other.fingerprint = "stricter"
    assert store.verdict(made, other, PAIRS).threshold == 0.9
    store.verdict(put(store, 1), judge, PAIRS)
    assert judge.n_looks == 3
    [kept] = (store.folder / "verdicts" / put(store, 1).key).iterdir()
    kept.write_text("{")
    store.verdict(put(store, 1), judge, PAIRS)
    assert judge.n_looks == 4


def test_what_was_wanted_lately_is_pruned_last(store: CreativeStore) -> None:
    made = [put(store, seed) for seed in range(4)]
    for n, creative in enumerate(made):
        os.utime(creative.folder, (1000 + n, 1000 + n))
    assert store.get(replace(ASKED, seed=0), MAKER) is not None
    store.verdict(made[1], Reader(), PAIRS)
    (made[3].folder / "picture.png").write_bytes(b"damaged")
    least = sum(path.stat().st_size for path in made[0].folder.iterdir())
    assert store.n_bytes() > 3 * least
    n_deleted = store.prune(2 * least + 100)
    assert n_deleted == 2
    assert [creative.key for creative in store.creatives()] == [made[2].key, made[0].key]
    assert not (store.folder / "verdicts" / made[1].key).exists()
    assert store.prune(0) == 2
    assert store.n_bytes() == 0


def test_what_is_no_entry_is_never_pruned(store: CreativeStore) -> None:
    put(store, 0)
    other = store.folder / "ab" / "mine"
    other.mkdir(parents=True, exist_ok=True)
    (other / "notes.txt").write_text("keep")
    store.prune(0)
    assert (other / "notes.txt").read_text() == "keep"


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        CreativeStore(tmp_path / "file")


WRITER = """
import sys
from tests.creative.test_store import MAKER, ASKED, picture, replace, CreativeStore
store = CreativeStore(sys.argv[1])
for n in range(60):
    seed = (n * int(sys.argv[2])) % 20
    kept = store.put(replace(ASKED, seed=seed), MAKER, picture(100 * int(sys.argv[2]) + seed))
    found = store.get(replace(ASKED, seed=seed), MAKER)
    assert found is not None and found.image().size == (32, 24)
"""


def test_several_processes_fill_one_store(tmp_path: Path) -> None:
    """Each would paint otherwise; all of them find one and the same picture in the end."""
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "store"), step])
        for step in ("1", "3", "7")
    ]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    store = CreativeStore(tmp_path / "store")
    assert len(list(store.creatives())) == 20
    left = [path for path in store.folder.rglob(".*")]
    assert left == []


def test_a_maker_of_a_pipeline_is_kept_as_json(store: CreativeStore) -> None:
    maker = Maker.of(Painter(), {"brightness": 0.5})
    kept = store.put(ASKED, maker, picture())
    assert store.get(ASKED, maker) == kept
