"""Features of candidates: exact values, and one row alike in training and in serving."""

from pathlib import Path

import numpy as np
import pytest

from etalage.errors import BundleError
from etalage.serve.runtime.features import RankingFeatures

UNIT = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)


@pytest.fixture
def features() -> RankingFeatures:
    return RankingFeatures(
        popularity=np.array([3, 1, 7, 0]),
        category_of=np.array([1, 2, 1, 0], np.int32),
        n_categories=2,
        content=UNIT,
        contexts={"device": ["desktop", "phone"], "slot": ["0", "1"]},
        defaults={"slot": "0"},
        history_length=3,
    )


def test_each_column_is_what_it_says(features: RankingFeatures) -> None:
    history, candidates = np.array([0, 1, 0, 2], np.int32), np.array([0, 1, 3], np.int32)
    rows = features.rows(history, candidates, {"device": "phone", "weather": "rain"})
    assert list(features.sizes.values()) == [5, 3, 3, 3, 3]
    # item (3 is never trained on), category, category of the last item, device, slot
    assert rows["categories"].tolist() == [[1, 1, 1, 2, 1], [2, 2, 1, 2, 1], [0, 0, 1, 2, 1]]
    assert rows["history"].tolist() == [[2, 1, 3]]
    numbers = dict(zip(features.numbers, rows["numbers"].T, strict=True))
    np.testing.assert_allclose(numbers["popularity"], np.log1p([3, 1, 0]) / np.log(8), rtol=1e-6)
    np.testing.assert_allclose(numbers["history_length"], 1)
    np.testing.assert_allclose(numbers["category_share"], [2 / 3, 1 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(numbers["likeness"], [1.6 / 3, 1.8 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(numbers["likeness_to_last"], [0.6, 0.8, 0], rtol=1e-6)


def test_no_history_and_strange_context_are_unknown(features: RankingFeatures) -> None:
    rows = features.rows(np.zeros(0, np.int32), np.array([2], np.int32), {"slot": 9})
    assert rows["categories"].tolist() == [[3, 1, 0, 0, 0]]
    assert rows["history"].tolist() == [[0]]
    assert rows["numbers"][0, 1:].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(30))
def test_serving_and_training_agree(seed: int) -> None:
    """One request is written for one visit, training for many: the numbers must be the same."""
    rng = np.random.default_rng(seed)
    n_items, longest = 12, 5
    features = RankingFeatures(
        popularity=rng.integers(0, 3, n_items),
        category_of=rng.integers(0, 4, n_items).astype(np.int32),
        n_categories=4,
        content=rng.normal(size=(n_items, 3)).astype(np.float32) if seed % 2 else None,
        contexts={"device": ["desktop", "phone"]},
        defaults={},
        history_length=longest,
    )
    people = [rng.integers(0, n_items, size).astype(np.int32) for size in (0, 1, 4, 5)]
    histories = np.array([[-1] * (longest - len(h)) + h.tolist() for h in people], np.int32)
    visits, candidates = rng.integers(0, 4, 20), rng.integers(0, n_items, 20).astype(np.int32)
    codes = features.codes({"device": "phone"})
    categories, numbers, newest = features.table(histories, visits, candidates, codes)
    for visit, history in enumerate(people):
        of_visit = visits == visit
        older = rng.integers(0, n_items, 3 * (len(history) == longest)).astype(np.int32)
        asked = np.concatenate([older, history])
        alone = features.rows(asked, candidates[of_visit], {"device": "phone"})
        assert alone["categories"].tolist() == categories[of_visit].tolist()
        np.testing.assert_allclose(alone["numbers"], numbers[of_visit], atol=1e-6)
        known = newest[visit][newest[visit] >= 0] + 1
        assert alone["history"].tolist() == [known.tolist() or [0]]


def test_files_keep_everything(features: RankingFeatures, tmp_path: Path) -> None:
    features.save(tmp_path / "features")
    again = RankingFeatures.load(tmp_path / "features")
    history, candidates = np.array([2, 0], np.int32), np.arange(4, dtype=np.int32)
    for name, block in features.rows(history, candidates, {}).items():
        assert again.rows(history, candidates, {})[name].tolist() == block.tolist()
    (tmp_path / "features" / "features.json").write_text("{")
    with pytest.raises(BundleError, match="no ranking features"):
        RankingFeatures.load(tmp_path / "features")
