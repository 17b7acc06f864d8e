"""Baselines against answers that can be worked out by hand."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories
from etalage.errors import BundleError, CapacityError, DataError
from etalage.ids import Vocabulary
from etalage.models.baseline.ease import EASE, EASEConfig
from etalage.models.baseline.neighbours import (
    ItemKNN,
    cosine,
    keep_top,
    transitions,
)
from etalage.models.baseline.popularity import Popularity


def dataset(rows: list[list[int]], n_items: int) -> Dataset:
    users = [u for u, row in enumerate(rows) for _ in row]
    log = Interactions.from_arrays(users, [i for r in rows for i in r], n_items=n_items)
    return Dataset("toy", log, Vocabulary(range(len(rows))), Vocabulary(range(n_items)))


def test_neighbours_of_a_checkerboard_are_the_same_colour() -> None:
    """User u likes every item of parity u % 2, except item u, so item u must come first."""
    n = 40
    rows = [[i for i in range(u % 2, n, 2) if i != u] for u in range(n)]
    model = ItemKNN()
    model.fit(dataset(rows, n))
    from etalage.data.ragged import ItemSets

    histories = Histories.from_rows(rows, length=20)
    top = model.recommend(histories, k=1, exclude=ItemSets.from_rows(rows))
    assert top.items[:, 0].tolist() == list(range(n))


def test_cosine_and_transitions_are_their_definitions() -> None:
    log = dataset([[0, 1, 2], [0, 1], [1, 0, 1]], 4).interactions
    together = cosine(log).toarray()
    assert together[0, 1] == pytest.approx(3 / 3)
    assert together[0, 2] == pytest.approx(1 / np.sqrt(3))
    assert together.diagonal().tolist() == [0] * 4
    after = transitions(log).toarray()
    assert after[0].tolist() == [0, 1, 0, 0]
    assert after[1].tolist() == [0.5, 0, 0.5, 0]
    assert not after[3].any()


def test_keeping_the_top_keeps_the_largest_of_each_row() -> None:
    from scipy.sparse import csr_array

    matrix = csr_array(np.array([[3, 1, 2], [0, 5, 0], [4, 4, 4]], np.float32))
    assert keep_top(matrix, 2).toarray().tolist() == [[3, 0, 2], [0, 5, 0], [4, 4, 0]]


def test_ease_solves_its_own_equation() -> None:
    """B minimises |X - XB|² + λ|B|² with zero diagonal: the gradient off the diagonal is 0."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(8, 4, replace=False).tolist() for _ in range(50)]
    data = dataset(rows, 8)
    model = EASE(EASEConfig(l2=3.0))
    model.fit(data)
    seen = data.interactions.matrix().toarray().astype(np.float64)
    weights = model.weights.astype(np.float64)
    gradient = -seen.T @ (seen - seen @ weights) + 3.0 * weights
    off_diagonal = ~np.eye(8, dtype=bool)
    np.testing.assert_allclose(gradient[off_diagonal], 0, atol=1e-4)


def test_ease_refuses_a_catalogue_it_cannot_hold() -> None:
    with pytest.raises(CapacityError, match="use item_knn"):
        EASE(EASEConfig(max_gigabytes=1e-6)).fit(dataset([[0, 1]], 500))


def test_ease_needs_the_memory_that_its_guard_reckons_with() -> None:
    """Even where every pair of items was seen together, and XᵀX is as dense as a matrix gets."""
    n = 1200
    rng = np.random.default_rng(0)
    data = dataset([list(range(n)), *rng.integers(n, size=(50, 30)).tolist()], n)
    needed = 12 * n**2
    with pytest.raises(CapacityError, match="use item_knn"):
        EASE(EASEConfig(max_gigabytes=0.99 * needed / 1e9)).fit(data)
    model = EASE(EASEConfig(max_gigabytes=1.01 * needed / 1e9))
    tracemalloc.start()
    try:
        model.fit(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.95 * needed < peak < 1.05 * needed


def test_ease_says_when_its_matrix_has_no_inverse() -> None:
    with pytest.raises(DataError, match="cannot tell item 1 from those before it"):
        EASE(EASEConfig(l2=1e-30)).fit(dataset([[0, 1]] * 4, 2))


def test_loading_from_an_empty_place_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"config\.json is missing"):
        Popularity.load(tmp_path)


def test_a_full_disk_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Popularity()
    model.fit(dataset([[0, 1]], 3))
    model.save(tmp_path / "model")

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(CapacityError, match="is full"):
        model.save(tmp_path / "model")
    monkeypatch.undo()
    assert Popularity.load(tmp_path / "model").counts.tolist() == [1, 1, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
