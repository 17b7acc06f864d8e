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
    assert rows["history"].tolist() == [[1, 0, 2]]
    numbers = dict(zip(features.numbers, rows["numbers"].T, strict=True))
    np.testing.assert_allclose(numbers["popularity"], np.log1p([3, 1, 0]) / np.log(8), rtol=1e-6)
    np.testing.assert_allclose(numbers["history_length"], 1)
    np.testing.assert_allclose(numbers["category_share"], [2 / 3, 1 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(numbers["likeness"], [1.6 / 3, 1.8 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(numbers["likeness_to_last"], [0.6, 0.8, 0], rtol=1e-6)


def test_no_history_and_strange_context_are_unknown(features: RankingFeatures) -> None:
    rows = features.rows(np.zeros(0, np.int32), np.array([2], np.int32), {"slot": 9})
    assert rows["categories"].tolist() == [[3, 1, 0, 0, 0]]
    assert rows["history"].tolist() == [[-1, -1, -1]]
    assert rows["numbers"][0, 1:].tolist() == [0, 0, 0, 0]


def test_serving_and_training_agree(features: RankingFeatures) -> None:
    histories = np.array([[-1, -1, -1], [-1, 3, 1], [0, 1, 2]], np.int32)
    visits = np.array([2, 0, 1, 2, 1])
    candidates = np.array([0, 1, 2, 3, 0], np.int32)
    codes = np.tile(features.codes({"device": "desktop"}), (5, 1))
    together = features.table(histories, visits, candidates, codes)
    for row, (visit, candidate) in enumerate(zip(visits, candidates, strict=True)):
        history = histories[visit][histories[visit] >= 0]
        alone = features.rows(history, np.array([candidate], np.int32), {"device": "desktop"})
        for block, name in zip(together[:2], ("categories", "numbers"), strict=True):
            np.testing.assert_allclose(alone[name][0], block[row], rtol=1e-6)
        assert alone["history"][0].tolist() == together[2][visit].tolist()


def test_files_keep_everything(features: RankingFeatures, tmp_path: Path) -> None:
    features.save(tmp_path / "features")
    again = RankingFeatures.load(tmp_path / "features")
    history, candidates = np.array([2, 0], np.int32), np.arange(4, dtype=np.int32)
    for name, block in features.rows(history, candidates, {}).items():
        assert again.rows(history, candidates, {})[name].tolist() == block.tolist()
    (tmp_path / "features" / "features.json").write_text("{")
    with pytest.raises(BundleError, match="no ranking features"):
        RankingFeatures.load(tmp_path / "features")
