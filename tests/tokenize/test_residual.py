"""Residual k-means and the ids made of it: monotone, distinct, repeatable, exact where known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etalage
from etalage.errors import BundleError, DataError, NotFittedError
from etalage.tokenize.kmeans import nearest
from etalage.tokenize.residual import ResidualKMeans
from etalage.tokenize.semantic_ids import SemanticIds


def cloud(n: int = 300, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def test_nearest_is_what_all_distances_say() -> None:
    x, book = cloud(5000), cloud(17, seed=1)
    codes, distances = nearest(x, book)
    apart = ((x[:, None].astype(np.float64) - book) ** 2).sum(2)
    assert np.array_equal(codes, apart.argmin(1))
    np.testing.assert_allclose(distances, apart.min(1), atol=1e-5)


def test_families_of_families_are_found_exactly() -> None:
    """4 far groups of 3 near points each, which two levels can spell without a rest."""
    near = np.array([[0, 0], [1, 0], [0, 1]])
    far = np.array([[0, 0], [100, 0], [0, 100], [100, 100]])
    x = (far[:, None] + near).reshape(-1, 2).astype(np.float32)
    quantizer = ResidualKMeans(n_levels=2, n_codes=4).fit(x)
    codes = quantizer.encode(x)
    assert [len(set(codes[g : g + 3, 0])) for g in (0, 3, 6, 9)] == [1] * 4
    assert len(set(codes[::3, 0])) == 4
    np.testing.assert_allclose(quantizer.decode(codes), x, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 9), st.booleans())
def test_another_level_never_makes_the_error_larger(
    n: int, n_codes: int, seed: int, is_coarse: bool
) -> None:
    x = cloud(n, 3, seed)
    x = np.round(x) if is_coarse else x  # coarse values repeat, so codes die
    quantizer = ResidualKMeans(4, n_codes, seed=seed).fit(x)
    codes = quantizer.encode(x)
    errors = [float((x**2).sum())]
    errors += [float(((x - quantizer.decode(codes[:, :d])) ** 2).sum()) for d in range(1, 5)]
    assert (np.diff(errors) <= 1e-4).all()


def test_as_many_codes_as_vectors_leave_no_error() -> None:
    x = cloud(40)
    quantizer = ResidualKMeans(1, 40).fit(x)
    np.testing.assert_allclose(quantizer.decode(quantizer.encode(x)), x, atol=1e-5)
    assert len(set(quantizer.encode(x)[:, 0])) == 40


def test_a_code_that_lost_its_items_gets_others() -> None:
    """Two blobs, most of it in one: no code may stay unused while items are far from theirs."""
    x = np.concatenate([cloud(500, 2) * 0.01, cloud(20, 2) + 5]).astype(np.float32)
    quantizer = ResidualKMeans(1, 32).fit(x)
    assert len(set(quantizer.encode(x)[:, 0])) == 32


def test_same_seed_same_bytes() -> None:
    one, two, other = (ResidualKMeans(2, 16, seed=seed).fit(cloud()) for seed in (5, 5, 6))
    assert one.codebooks.tobytes() == two.codebooks.tobytes()
    assert one.codebooks.tobytes() != other.codebooks.tobytes()


def test_an_item_alone_is_spelled_as_among_others() -> None:
    quantizer = ResidualKMeans(2, 16).fit(cloud())
    assert quantizer.encode(cloud()[7:8]).tolist() == quantizer.encode(cloud())[7:8].tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40))
def test_ids_are_distinct_and_keep_their_codes(rows: list[tuple[int, int, int]]) -> None:
    codes = np.array(rows, np.int32)
    ids = SemanticIds.distinct(codes, (3, 3, 3))
    assert len(np.unique(ids.codes, axis=0)) == len(rows)
    assert np.array_equal(ids.codes[:, :3], codes)
    largest = np.unique(codes, axis=0, return_counts=True)[1].max()
    assert ids.sizes == ((3, 3, 3) if largest == 1 else (3, 3, 3, largest))


def test_equals_are_numbered_in_the_order_of_items() -> None:
    codes = np.array([[1, 0], [0, 0], [1, 0], [1, 0]], np.int32)
    assert SemanticIds.distinct(codes, (2, 1)).codes[:, 2].tolist() == [0, 0, 1, 2]


def told_apart(quantizer: ResidualKMeans, vectors: np.ndarray) -> SemanticIds:
    return SemanticIds.distinct(quantizer.fit(vectors).encode(vectors), quantizer.sizes)


def test_a_catalogue_of_one_thing_is_still_spelled() -> None:
    ids = told_apart(ResidualKMeans(2, 8), np.zeros((50, 4), np.float32))
    assert ids.codes[:, 2].tolist() == list(range(50))
    assert told_apart(ResidualKMeans(), cloud(1)).codes.shape == (1, 3)


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    ids = told_apart(ResidualKMeans(2, 8), cloud())
    path = tmp_path / "deep" / "ids.npz"
    ids.save(path)
    ids.save(path)  # replaces
    loaded = SemanticIds.load(path)
    assert loaded.codes.tobytes() == ids.codes.tobytes()
    assert (loaded.sizes, loaded.codes.dtype) == (ids.sizes, np.int32)
    assert [p.name for p in path.parent.iterdir()] == ["ids.npz"]
    assert str(np.load(path)["library_version"]) == etalage.__version__


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ids.npz"
    with pytest.raises(BundleError, match=r"ids\.npz"):
        SemanticIds.load(path)
    SemanticIds(np.array([[0], [1]], np.int32), (2,)).save(path)
    whole = path.read_bytes()
    flipped = whole[:60] + bytes([whole[60] ^ 255]) + whole[61:]
    for broken in (b"", whole[: len(whole) // 2], b"no zip at all", flipped):
        path.write_bytes(broken)
        with pytest.raises(BundleError, match="no semantic ids can be read"):
            SemanticIds.load(path)


def test_bad_vectors_are_named() -> None:
    fit = ResidualKMeans(1, 2).fit
    for bad in (np.zeros((3, 2)), np.zeros(3, np.float32), np.zeros((0, 2), np.float32)):
        with pytest.raises(DataError, match="float32 array of shape"):
            fit(bad)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="1 of 2 rows hold NaN"):
        fit(np.array([[1], [np.nan]], np.float32))
    with pytest.raises(DataError, match="at least 1; got n_levels=0, n_codes=64"):
        ResidualKMeans(n_levels=0)
    with pytest.raises(NotFittedError, match="call fit"):
        ResidualKMeans().encode(cloud())
    with pytest.raises(DataError, match="fitted on width 6; got vectors of 5"):
        ResidualKMeans(1, 2).fit(cloud()).encode(cloud(width=5))


def test_bad_codes_are_named() -> None:
    with pytest.raises(DataError, match="1 items have the codes of another"):
        SemanticIds(np.array([[0, 1], [0, 1]], np.int32), (2, 2))
    with pytest.raises(DataError, match=r"outside 0\.\.size-1"):
        SemanticIds(np.array([[2]], np.int32), (2,))
    with pytest.raises(DataError, match="2 levels, sizes 1"):
        SemanticIds(np.array([[0, 1]], np.int32), (2,))
    with pytest.raises(DataError, match="int32 array of shape"):
        SemanticIds(np.array([[0, 1]]), (2, 2))
