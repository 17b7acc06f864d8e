"""The served answer is that of the trained models, whichever of them orders the list."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from tests.conftest import SMALL, Exported

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets, TopK
from etalage.ids import Vocabulary
from etalage.models.recommender import Recommender
from etalage.models.registry import build
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.ranked import Ranked
from etalage.recipe.recipe import resolve
from etalage.serve.runtime.engine import Answer, Engine
from etalage.serve.runtime.retrieval import Scan

K = 20


def random_histories(n: int, n_items: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, n_items, rng.integers(1, 40)).tolist() for _ in range(n)]


def top(model: Recommender, rows: list[list[int]]) -> TopK:
    exclude = ItemSets.from_rows(rows)
    return model.recommend(Histories.from_rows(rows), K, exclude=exclude)


def assert_same_list(answer: Answer, expected: TopK, row: int) -> None:
    np.testing.assert_allclose(answer.scores, expected.scores[row], atol=1e-4)
    swapped = answer.items != expected.items[row]  # only within rounding of a tie
    gaps = np.abs(np.diff(expected.scores[row]))
    assert swapped.sum() <= 2 * (gaps < 1e-5).sum()


@pytest.mark.parametrize("order", ["retriever", "ranker"])
def test_a_thousand_histories_get_what_the_models_say(
    exported: Exported, tmp_path: Path, order: Literal["retriever", "ranker"]
) -> None:
    served = replace(exported.served, order=order)
    assert served.ranker is not None
    assert served.features is not None
    assert served.calibrator is not None
    export_bundle(tmp_path / "bundle", exported.shop.data, served, exported.recipe)
    engine = Engine(tmp_path / "bundle")
    rows = random_histories(1000, exported.shop.data.n_items)
    # with K candidates the ranker only turns the retriever's list round: it tells the logits
    n_candidates = engine.n_candidates if order == "ranker" else K
    ranked = top(Ranked(served.retriever, served.ranker, served.features, n_candidates), rows)
    expected = ranked if order == "ranker" else top(served.retriever, rows)
    for row, history in enumerate(rows):
        answer = engine.recommend(np.array(history, np.int32), K)
        assert answer.degraded is None
        assert_same_list(answer, expected, row)
        logit_of = dict(zip(ranked.items[row].tolist(), ranked.scores[row].tolist(), strict=True))
        logits = np.array([logit_of[item] for item in answer.items.tolist()], np.float32)
        assert answer.probabilities is not None
        p = served.calibrator.probability(logits)
        np.testing.assert_allclose(answer.probabilities, p, atol=1e-4)


def test_a_retriever_may_be_served_alone(exported: Exported, tmp_path: Path) -> None:
    served = Served(exported.served.retriever)
    export_bundle(tmp_path / "plain", exported.shop.data, served, exported.recipe)
    plain = Engine(tmp_path / "plain")
    rows = random_histories(20, len(plain.vectors))
    expected = top(served.retriever, rows)
    for row, history in enumerate(rows):
        answer = plain.recommend(np.array(history, np.int32), K)
        assert_same_list(answer, expected, row)
        assert answer.probabilities is None


def test_a_scan_in_8_bits_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3,000 items the scan leaves 100 to be scored exactly, so it finds what is shown."""
    monkeypatch.setattr("etalage.models.onnx.LARGE", 1)
    n_items = 3000
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(300), 20)
    log = Interactions.from_arrays(users, rng.permutation(6000) % n_items, n_items=n_items)
    data = Dataset("large shop", log, Vocabulary(range(300)), Vocabulary(range(n_items)))
    training = {"epochs": 1, "batch_size": 64}
    sasrec = build({"kind": "sasrec", "width": 64, "max_length": 30, "training": training})
    sasrec.fit(data)
    recipe = resolve(SMALL | {"ranking": {"n_candidates": K}})
    export_bundle(tmp_path / "scan", data, Served(sasrec), recipe)
    engine = Engine(tmp_path / "scan")
    rows = random_histories(200, n_items)
    expected = top(sasrec, rows)

    def share_found() -> float:
        found = 0
        for row, history in enumerate(rows):
            answer = engine.recommend(np.array(history, np.int32), K)
            assert answer.degraded is None
            assert not set(answer.items.tolist()) & set(history)
            found += len(set(answer.items.tolist()) & set(expected.items[row].tolist()))
        return found / expected.items.size

    for row, history in enumerate(rows):
        assert_same_list(engine.recommend(np.array(history, np.int32), K), expected, row)
    assert share_found() == 1

    class Noise:
        def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [rng.normal(size=(1, n_items)).astype(np.float32)]

    assert isinstance(engine.retrieve, Scan)
    engine.retrieve.scan = Noise()
    assert share_found() < 0.1
