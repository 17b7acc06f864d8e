"""The served answer is that of the trained models, and a broken bundle is never loaded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Exported

from etalage.data.ragged import Histories, ItemSets
from etalage.errors import BundleError
from etalage.models.registry import build
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.ranked import Ranked
from etalage.serve.bundle import read_manifest
from etalage.serve.runtime.engine import Engine, _largest


@pytest.fixture(scope="module")
def engine(exported: Exported) -> Engine:
    return Engine(exported.folder)


def random_histories(n: int, n_items: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, n_items, rng.integers(1, 40)).tolist() for _ in range(n)]


def test_a_thousand_histories_get_what_the_models_say(exported: Exported, engine: Engine) -> None:
    served = exported.served
    rows = random_histories(1000, exported.shop.data.n_items)
    histories = Histories.from_rows(rows)
    both = Ranked(served.retriever, served.ranker, served.features, engine.n_candidates)
    expected = both.recommend(histories, 20, exclude=ItemSets.from_rows(rows))
    for row, history in enumerate(rows):
        answer = engine.recommend(np.array(history, np.int32), 20)
        assert answer.degraded is None
        np.testing.assert_allclose(answer.scores, expected.scores[row], atol=1e-4)
        swapped = answer.items != expected.items[row]  # only within rounding of a tie
        gaps = np.abs(np.diff(expected.scores[row]))
        assert swapped.sum() <= 2 * (gaps < 1e-5).sum()
        p = served.calibrator.probability(expected.scores[row])
        np.testing.assert_allclose(answer.probabilities, p, atol=1e-4)


def test_the_retriever_may_order_too(exported: Exported, tmp_path: Path) -> None:
    served = Served(exported.served.retriever)
    export_bundle(tmp_path / "plain", exported.shop.data, served, exported.recipe)
    plain = Engine(tmp_path / "plain")
    for history in random_histories(20, plain.vectors.shape[0]):
        top = served.retriever.recommend(
            Histories.from_rows([history]), 5, exclude=ItemSets.from_rows([history])
        )
        answer = plain.recommend(np.array(history, np.int32), 5)
        assert answer.items.tolist() == top.items[0].tolist()
        assert answer.probabilities is None


def test_a_scan_in_8_bits_finds_the_same(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etalage.models.sequential.sasrec.LARGE", 1)
    data = exported.shop.training_data
    training = {"epochs": 1, "batch_size": 64}
    sasrec = build({"kind": "sasrec", "width": 64, "max_length": 30, "training": training})
    sasrec.fit(data)
    export_bundle(tmp_path / "scan", data, Served(sasrec), exported.recipe)
    engine = Engine(tmp_path / "scan")
    assert engine.scan is not None
    for history in random_histories(200, data.n_items):
        seen = ItemSets.from_rows([history])
        top = sasrec.recommend(Histories.from_rows([history]), 20, exclude=seen)
        answer = engine.recommend(np.array(history, np.int32), 20)
        np.testing.assert_allclose(answer.scores, top.scores[0], atol=1e-5)
        assert not set(answer.items.tolist()) & set(history)


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
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(exported.folder)

    def broken(history: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of order")

    monkeypatch.setattr(engine, "_encode", broken)
    answer = engine.recommend(np.array([1, 2], np.int32), 5)
    assert answer.degraded == "retrieval failed: out of order"
    assert len(answer.items) == 5
    assert not {1, 2} & set(answer.items.tolist())


def test_a_broken_ranker_leaves_the_retrievers_order(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(exported.folder)

    def broken(*asked: object) -> np.ndarray:
        raise RuntimeError("out of order")

    monkeypatch.setattr(engine, "logits", broken)
    history = [1, 2]
    answer = engine.recommend(np.array(history, np.int32), 5)
    assert answer.degraded == "ranking failed: out of order"
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


@pytest.mark.parametrize("n", [1, 7, 200])
def test_the_largest_are_the_largest(n: int) -> None:
    scores = np.random.default_rng(n).normal(size=5000).astype(np.float32)
    scores[::3] = -np.inf
    assert sorted(_largest(scores, n)) == sorted(np.argsort(-scores)[:n])


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
     ('{"format": 9, "files": {}}', "format 9"), ('{"format": 1, "files": {}}', "lists no")],
)  # fmt: skip
def test_a_broken_manifest_is_refused(bundle: Path, text: str, message: str) -> None:
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        read_manifest(bundle)


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="etalage export"):
        Engine(tmp_path / "nowhere")
