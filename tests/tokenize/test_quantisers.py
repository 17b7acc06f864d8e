"""What every quantiser promises, and what each is known for."""

import numpy as np
import pytest

from etalage.errors import DataError, NotFittedError
from etalage.tokenize.fsq import FSQ, grid_of
from etalage.tokenize.quantizer import Quantizer
from etalage.tokenize.residual import ResidualKMeans
from etalage.tokenize.rqvae import RQVAE
from etalage.tokenize.slots import OPQ, ParallelKMeans
from etalage.tokenize.tree import BalancedTree

NETWORK = {"latent": 8, "hidden": (16,), "epochs": 15, "batch_size": 64, "learning_rate": 0.01}
MAKE = {
    "residual": lambda seed=0: ResidualKMeans(3, 8, seed=seed),
    "parallel": lambda seed=0: ParallelKMeans(3, 8, seed=seed),
    "parallel of components": lambda seed=0: ParallelKMeans(3, 8, width=6, seed=seed),
    "tree": lambda seed=0: BalancedTree(8, seed=seed),
    "rqvae": lambda seed=0: RQVAE(3, 8, **NETWORK, seed=seed),
    "rqvae of sinkhorn": lambda seed=0: RQVAE(3, 8, **NETWORK, sinkhorn=0.003, seed=seed),
    "fsq": lambda seed=0: FSQ(3, 8, **NETWORK, seed=seed),
    "opq": lambda seed=0: OPQ(3, 8, seed=seed),
}


def cloud(n: int = 300, width: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(10, width)) * 3
    return (centres[rng.integers(0, 10, n)] + rng.normal(size=(n, width))).astype(np.float32)


@pytest.fixture(scope="module", params=MAKE, ids=lambda name: name.replace(" ", "-"))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def fitted(name: str) -> Quantizer:
    return MAKE[name]().fit(cloud())


def test_codes_are_within_the_sizes_of_their_levels(fitted: Quantizer) -> None:
    codes = fitted.encode(cloud(50, seed=1))
    assert codes.shape == (50, fitted.n_levels) == (50, len(fitted.sizes))
    assert codes.dtype == np.int32
    assert (codes >= 0).all()
    assert (codes < fitted.sizes).all()


def test_more_codes_say_more_of_the_catalogue(fitted: Quantizer) -> None:
    x, codes = cloud(), fitted.encode(cloud())
    spread = ((x - x.mean(0)) ** 2).sum()
    errors = [((x - fitted.decode(codes[:, :d])) ** 2).sum() / spread for d in (1, fitted.n_levels)]
    assert fitted.decode(codes).dtype == np.float32
    assert errors[1] < errors[0] < 1
    more = np.column_stack([codes, np.full(len(codes), 77, np.int32)])
    assert np.array_equal(fitted.decode(more), fitted.decode(codes))


def test_same_seed_same_bytes_and_another_seed_others(name: str, fitted: Quantizer) -> None:
    one, again = fitted.arrays(), MAKE[name]().fit(cloud()).arrays()
    other = MAKE[name](seed=1).fit(cloud()).arrays()
    assert one.keys() == again.keys()
    assert all(one[k].tobytes() == again[k].tobytes() for k in one)
    if name != "opq":  # a rotation of faiss has a seed of its own, and few items one best choice
        assert any(one[k].tobytes() != other[k].tobytes() for k in one)


def test_what_was_learned_can_be_taken_elsewhere(name: str, fitted: Quantizer) -> None:
    copy = MAKE[name](seed=3).restore(fitted.arrays())
    codes = fitted.encode(cloud(40, seed=2))
    assert copy.sizes == fitted.sizes
    assert np.array_equal(copy.encode(cloud(40, seed=2)), codes)
    assert np.array_equal(copy.decode(codes), fitted.decode(codes))


def test_an_item_alone_is_spelled_as_among_others(fitted: Quantizer) -> None:
    x = cloud(40, seed=2)
    alone = np.concatenate([fitted.encode(x[i : i + 1]) for i in range(40)])
    assert np.array_equal(alone, fitted.encode(x))


def test_bad_input_is_named(name: str, fitted: Quantizer) -> None:
    with pytest.raises(NotFittedError, match=r"not fitted; call fit\(vectors\)"):
        MAKE[name]().encode(cloud())
    with pytest.raises(NotFittedError):
        MAKE[name]().decode(np.zeros((1, 1), np.int32))
    with pytest.raises(NotFittedError):
        MAKE[name]().arrays()
    with pytest.raises(DataError, match="fitted on width 12; got vectors of 5"):
        fitted.encode(cloud(width=5))
    broken = cloud()
    broken[3, 2] = np.nan
    for use in (MAKE[name]().fit, fitted.encode):
        with pytest.raises(DataError, match="1 of 300 rows hold NaN"):
            use(broken)
    with pytest.raises(DataError, match="float32"):
        MAKE[name]().fit(cloud().astype(np.float64))


def test_one_item_and_equal_items_are_spelled(name: str) -> None:
    if name == "opq":
        with pytest.raises(DataError, match="at least as many columns and vectors"):
            MAKE[name]().fit(cloud(3))
        return
    for x in (cloud(1), np.repeat(cloud(1), 30, axis=0)):
        quantizer = MAKE[name]().fit(x)
        assert np.isfinite(quantizer.decode(quantizer.encode(x))).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResidualKMeans(0, 8), lambda: ResidualKMeans(1, 0), lambda: ParallelKMeans(-1),
        lambda: ParallelKMeans(4, 8, width=3), lambda: ParallelKMeans(4, 8, width=99).fit(cloud()),
        lambda: ParallelKMeans(13).fit(cloud()), lambda: BalancedTree(1),
        lambda: BalancedTree(8, 0),
        lambda: BalancedTree(8, 2).fit(cloud()), lambda: RQVAE(0), lambda: RQVAE(learning_rate=0),
        lambda: RQVAE(commitment=-1), lambda: RQVAE(hidden=(0,)), lambda: RQVAE(n_codes=0),
        lambda: FSQ(n_codes=1), lambda: FSQ(epochs=0), lambda: OPQ(3, 12), lambda: OPQ(3, 1),
        lambda: OPQ(13, 8).fit(cloud()),
    ],
)  # fmt: skip
def test_nonsense_is_refused(make) -> None:
    with pytest.raises(DataError):
        make()


def test_slots_are_clustered_each_by_itself() -> None:
    """Two slots of 3 values each, in all 9 combinations: each slot needs 3 codes, and no more."""
    values = np.array([[0, 0], [5, 0], [0, 5]], np.float32)
    x = np.array([[*a, *b] for a in values for b in values], np.float32)
    quantizer = ParallelKMeans(2, 3).fit(x)
    codes = quantizer.encode(x)
    assert len(np.unique(codes, axis=0)) == 9
    assert [len(set(codes[3 * g : 3 * g + 3, 0])) for g in range(3)] == [1, 1, 1]
    np.testing.assert_allclose(quantizer.decode(codes), x, atol=1e-5)
    half = quantizer.decode(codes[:, :1])
    np.testing.assert_allclose(half[:, 2:], np.tile(x[:, 2:].mean(0), (9, 1)), atol=1e-5)


def test_components_come_first_where_items_differ_most() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(400, 6)) * [1, 1, 1, 1, 1, 30] + [99, 0, 0, 0, 0, 0]).astype(np.float32)
    quantizer = ParallelKMeans(3, 16, width=6).fit(x)
    assert abs(quantizer.rotation[0, 5]) > 0.99
    np.testing.assert_allclose(quantizer.rotation @ quantizer.rotation.T, np.eye(6), atol=1e-5)


def test_a_learned_rotation_beats_the_columns_as_they_come() -> None:
    """All variance lies in two slots' worth of directions that straddle the slots."""
    rng = np.random.default_rng(0)
    mix = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    x = (rng.normal(size=(2000, 12)) * np.geomspace(5, 0.05, 12) @ mix).astype(np.float32)

    def error(quantizer: Quantizer) -> float:
        return float(((x - quantizer.decode(quantizer.fit_encode(x))) ** 2).sum())

    assert error(OPQ(3, 16)) < 0.8 * error(ParallelKMeans(3, 16))


@pytest.mark.parametrize("n_codes", [2, 5, 8, 64, 256, 1000, 8192])
def test_a_grid_fills_its_codes(n_codes: int) -> None:
    grid = grid_of(n_codes)
    assert 0.5 * n_codes < np.prod(grid) <= n_codes
    assert max(grid) - min(grid) <= 1
