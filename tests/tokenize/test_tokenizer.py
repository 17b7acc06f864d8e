"""From vectors to ids and back from the disk, whichever quantiser it is."""

from pathlib import Path

import numpy as np
import pytest

from etalage.errors import BundleError, DataError, NotFittedError
from etalage.tokenize.health import HealthLimits
from etalage.tokenize.tokenizer import Tokenizer, TokenizerConfig

LAX = HealthLimits(min_usage=None, max_collision_rate=None, min_neighbour_lift=None)
QUANTIZERS = ("residual_kmeans", "parallel_kmeans", "balanced_tree", "rqvae", "fsq", "opq")


def cloud(n: int = 200, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(8, 6)) * 5
    return (centres[rng.integers(0, 8, n)] + rng.normal(size=(n, 6))).astype(np.float32)


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("collisions", ["reassign", "extra_level"])
def test_a_catalogue_is_spelled_kept_and_grows(
    tmp_path: Path, quantizer: str, collisions: str
) -> None:
    config = TokenizerConfig(quantizer=quantizer, n_codes=16, collisions=collisions, limits=LAX)
    one = Tokenizer(config, seed=4).fit(cloud())
    assert len(one.ids) == len(np.unique(one.ids.codes, axis=0)) == 200
    path = tmp_path / "deep" / "tokenizer.npz"
    one.save(path)
    two = Tokenizer.load(path)
    assert (two.config, two.seed, two.distortion) == (config, 4, one.distortion)
    assert repr(two.health) == repr(one.health)  # NaN is not equal to itself
    assert two.ids.codes.tobytes() == one.ids.codes.tobytes()
    new = cloud(3, seed=1)
    assert np.array_equal(one.append(new).codes, two.append(new).codes)
    assert np.array_equal(two.ids.codes[:200], Tokenizer.load(path).ids.codes)
    assert len(two.ids) == 203


def test_reassignment_adds_no_level_and_says_what_it_cost() -> None:
    one = Tokenizer(TokenizerConfig(n_levels=2, n_codes=16, limits=LAX)).fit(cloud())
    assert one.ids.sizes == (16, 16)
    assert one.health.collision_rate > 0
    assert one.distortion[1] > one.distortion[0]
    extra = TokenizerConfig(n_levels=2, n_codes=16, limits=LAX, collisions="extra_level")
    assert Tokenizer(extra).fit(cloud()).ids.n_levels == 3


def test_the_seed_is_what_makes_two_alike() -> None:
    config = TokenizerConfig(n_codes=16, limits=LAX)
    one, two, other = (Tokenizer(config, seed).fit(cloud()).ids.codes for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes() != other.tobytes()


def test_ids_past_their_limits_are_refused() -> None:
    with pytest.raises(DataError, match=r"usage of a level is .* must be >= 0\.5"):
        Tokenizer(TokenizerConfig(n_codes=256)).fit(np.repeat(cloud(20), 20, axis=0))


def test_what_it_knows_of_items_reaches_the_report() -> None:
    labels = np.arange(200) % 3
    config = TokenizerConfig(n_codes=16, limits=LAX)
    health = Tokenizer(config).fit(cloud(), labels=labels, counts=np.ones(200, int)).health
    assert len(health.purity) == 3
    assert health.traffic_perplexity == pytest.approx(health.perplexity)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="Tokenizer is not fitted"):
        Tokenizer().append(cloud())
    with pytest.raises(NotFittedError, match="Tokenizer is not fitted"):
        Tokenizer().save(tmp_path / "x.npz")
    with pytest.raises(BundleError, match="no tokenizer can be read"):
        Tokenizer.load(tmp_path / "x.npz")
    Tokenizer(TokenizerConfig(n_codes=16, limits=LAX)).fit(cloud()).save(tmp_path / "x.npz")
    whole = (tmp_path / "x.npz").read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"no zip at all"):
        (tmp_path / "x.npz").write_bytes(broken)
        with pytest.raises(BundleError, match="no tokenizer can be read"):
            Tokenizer.load(tmp_path / "x.npz")
