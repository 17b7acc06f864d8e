"""The window is filled whatever breaks, and a broken bundle is never loaded."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from tests.conftest import Exported
from tests.serve.rewriting import array, rewrite

from etalage.data.ragged import Histories, ItemSets
from etalage.errors import BundleError, CapacityError
from etalage.serve.bundle import read_manifest, write_bundle
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.retrieval import Products, largest


@pytest.fixture(scope="module")
def engine(exported: Exported) -> Engine:
    return Engine(exported.folder)


def test_nothing_seen_or_excluded_comes_back(engine: Engine) -> None:
    history, gone = np.arange(40, dtype=np.int32), np.arange(40, 60, dtype=np.int32)
    answer = engine.recommend(history, 200, exclude=gone)
    assert not set(answer.items.tolist()) & set(range(60))
    assert len(set(answer.items.tolist())) == len(answer.items) == 60
    everything = np.arange(120, dtype=np.int32)
    assert len(engine.recommend(everything, 5).items) == 0
    assert len(engine.recommend(np.zeros(0, np.int32), 5, exclude=everything).items) == 0


def test_someone_new_sees_what_is_popular(exported: Exported, engine: Engine) -> None:
    popularity = exported.shop.data.interactions.popularity()
    answer = engine.recommend(np.zeros(0, np.int32), 5)
    assert popularity[answer.items].min() >= np.sort(popularity)[-5]
    assert answer.degraded is None
    assert answer.probabilities is not None


def test_a_broken_encoder_still_fills_the_window(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(exported.folder)

    def broken(history: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of order")

    monkeypatch.setattr(engine, "_encode", broken)
    answer = engine.recommend(np.array([1, 2], np.int32), 5)
    assert answer.degraded == "retrieval failed"
    assert "out of order" in caplog.text
    assert len(answer.items) == 5
    assert not {1, 2} & set(answer.items.tolist())


def test_a_state_that_is_no_number_still_fills_the_window(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ill:
        def run(self, *asked: object) -> list[np.ndarray]:
            return [np.full((1, 16), np.nan, np.float32)]

    engine = Engine(exported.folder)
    monkeypatch.setattr(engine, "encoder", Ill())
    answer = engine.recommend(np.array([1, 2], np.int32), 5)
    assert answer.degraded == "retrieval failed"
    assert len(answer.items) == 5


def test_a_broken_ranker_leaves_the_retrievers_order(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(exported.folder)

    def broken(*asked: object) -> np.ndarray:
        raise RuntimeError("out of order")

    monkeypatch.setattr(engine, "logits", broken)
    history = [1, 2]
    answer = engine.recommend(np.array(history, np.int32), 5)
    assert answer.degraded == "ranking failed"
    assert "out of order" in caplog.text
    assert answer.probabilities is None
    top = exported.served.retriever.recommend(
        Histories.from_rows([history]), 5, exclude=ItemSets.from_rows([history])
    )
    assert answer.items.tolist() == top.items[0].tolist()


def test_reasons_are_the_nearest_of_the_history(engine: Engine) -> None:
    history = np.array([3, 9, 9, 50, 7], np.int32)
    (reasons,) = engine.reasons(history, np.array([9], np.int32))
    assert reasons[0] == (9, pytest.approx(1, abs=1e-5))
    assert engine.reasons(np.zeros(0, np.int32), np.array([9], np.int32)) == [[]]


@pytest.mark.parametrize("n", [1, 7, 200, 3000, 9000])
def test_the_largest_are_found(n: int) -> None:
    scores = np.random.default_rng(n).normal(size=5000).astype(np.float32)
    scores[::3] = -np.inf
    found = largest(scores, n)
    assert set(np.argsort(-scores)[: min(n, np.isfinite(scores).sum())]) <= set(found)
    assert len(found) <= 1.2 * n + 3
    assert np.isfinite(scores[found]).all()
    assert (np.diff(found) > 0).all()


def test_of_nothing_nothing_islargest() -> None:
    assert len(largest(np.zeros(0, np.float32), 5)) == 0
    assert len(largest(np.full(9, -np.inf, np.float32), 5)) == 0


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["encoder.onnx", "items.json", "item_vectors.npy", "ranker.onnx"])
@pytest.mark.parametrize(
    ("harm", "message"),
    [(cut, "cut short"), (change, "was changed"), (Path.unlink, "is missing")],
)
def test_a_harmed_file_is_named(
    bundle: Path, name: str, harm: Callable[[Path], None], message: str
) -> None:
    harm(bundle / name)
    with pytest.raises(BundleError, match=rf"{name} (is )?{message}|{name} is {message}|{message}"):
        Engine(bundle)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "cannot be read"), ("{", "cannot be read"), ("[]", "cannot be read"),
     ('{"etalage_bundle": 9, "files": {}}', "format 9"),
     ('{"format": 1, "files": {}}', "format 1; this version reads 3; remove"),
     ('{"etalage_bundle": 3, "files": {}}', "lists no"),
     ('{"etalage_bundle": 3, "files": {"items.json": 3}}', "cannot be read"),
     ('{"etalage_bundle": 3, "files": []}', "cannot be read")],
)  # fmt: skip
def test_a_broken_manifest_is_refused(bundle: Path, text: str, message: str) -> None:
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        read_manifest(bundle)


VECTORS = np.ones((120, 16), np.float32)
PLATT = {"kind": "platt", "slope": 1.0, "intercept": 0.0}
SLOTS = {"kind": "fields", "curve": PLATT, "knots": [-1, 0, 1], "shapes": [[1], [1], [1]],
         "codes": [[0]], "tables": [[[0, 0, 0]]]}  # fmt: skip
NO_ITEMS = {"ids": ["a"], "titles": [], "categories": []}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("encoder.onnx", b"no network", "encoder.onnx"),
        ("ranker.onnx", b"", "ranker.onnx"),
        ("items.json", b"[]", "TypeError"),
        ("items.json", b'{"ids": ["a", "a"], "titles": [], "categories": []}', "distinct"),
        ("items.json", orjson.dumps(NO_ITEMS), "of 1 items"),
        ("item_vectors.npy", b"no array", "cannot be served"),
        ("item_vectors.npy", array(VECTORS[:5]), r"\(5, 16\), of 120 items"),
        ("item_vectors.npy", array(VECTORS[:, :7]), "retrieval failed"),
        ("item_vectors.npy", array(VECTORS * np.nan), "not finite"),
        ("popular.npy", array(np.zeros(120, np.int32)), "every item once"),
        ("codes.npy", array(np.zeros((5, 3), np.int32)), "different catalogues"),
        ("codes.npy", array(np.zeros(120, np.int32)), r"codes.npy is \(120,\), not of items and"),
        ("calibrator.json", b"{}", "no calibrator"),
        ("calibrator.json", orjson.dumps(PLATT | {"calibrate_by": {"weather": [-1, 0]}}),
         "2 codes of 'weather' apart, the features of the bundle 0"),
        ("calibrator.json", orjson.dumps(SLOTS | {"calibrate_by": {"slot": [-1, 0, 1]}}),
         "3 codes of 'slot' apart, the features of the bundle 9"),
        ("calibrator.json", orjson.dumps(SLOTS), r"by \(nothing\): this calibrator needs a cont"),
        ("calibrator.json", orjson.dumps(SLOTS | {"calibrate_by": 3}), "cannot be served"),
        ("features/features.json", b"{}", "ranking features"),
        ("visitors.json", b'{"ids": ["a"], "offsets": [0, 2], "items": [1]}', "do not part"),
        ("visitors.json", b'{"ids": ["a"], "offsets": [0, 1], "items": [120]}', "not in the"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(
    bundle: Path, name: str, content: bytes, message: str
) -> None:
    rewrite(bundle, name, content)
    with pytest.raises(BundleError, match=message):
        Engine(bundle)


def test_left_overs_of_an_older_bundle_are_refused(bundle: Path) -> None:
    (bundle / "scan.onnx").write_bytes(b"of another time")
    with pytest.raises(BundleError, match=r"scan\.onnx is not of this bundle"):
        read_manifest(bundle)


def test_an_order_without_a_ranker_is_refused(bundle: Path) -> None:
    manifest = orjson.loads((bundle / "manifest.json").read_bytes())
    del manifest["files"]["ranker.onnx"]
    (bundle / "ranker.onnx").unlink()
    (bundle / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(BundleError, match=r"ranker\.onnx is missing"):
        Engine(bundle)


def test_a_full_disk_leaves_the_old_bundle(bundle: Path) -> None:
    def fill(draft: Path) -> None:
        (draft / "items.json").write_bytes(b"[")
        raise OSError(errno.ENOSPC, "No space left on device")

    before = read_manifest(bundle)
    with pytest.raises(CapacityError, match=r"the disk of .* is full"):
        write_bundle(bundle, fill, {})
    assert read_manifest(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="etalage export"):
        Engine(tmp_path / "nowhere")


def test_items_of_which_nothing_is_known_are_never_retrieved() -> None:
    """A vector of zeros would be in the middle of the list, where all others point away."""
    vectors = -np.ones((4, 2), np.float32)
    vectors[2] = 0
    items, scores = Products(vectors)(np.ones(2, np.float32), 4, np.zeros(0, np.int32))
    assert items.tolist() == [0, 1, 3]
    assert scores.tolist() == [-2, -2, -2]
