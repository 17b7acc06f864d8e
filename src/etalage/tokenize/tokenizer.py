"""How does a catalogue get its ids, and a new item the next one? Quantise, make distinct, check.

Letters: N items, M new items, D width, L levels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from etalage import __version__
from etalage.artefact import whole_file
from etalage.errors import BundleError, NotFittedError
from etalage.recipe.config import Config
from etalage.seeds import generator
from etalage.tokenize.collisions import append, reassign
from etalage.tokenize.health import HealthLimits, HealthReport, check, check_health
from etalage.tokenize.quantizer import Quantizer
from etalage.tokenize.semantic_ids import UNREADABLE, SemanticIds


class TokenizerConfig(Config):
    """Settings of a spelling."""

    quantizer: Literal[
        "residual_kmeans", "parallel_kmeans", "balanced_tree", "rqvae", "fsq", "opq"
    ] = "residual_kmeans"
    """What makes codes of vectors; `rqvae` and `fsq` train a network."""
    n_levels: int | None = Field(None, ge=1)
    """Codes of an item; None for 3, of a balanced tree for as few as hold the catalogue."""
    n_codes: int = Field(256, ge=2)
    """Codes of a level."""
    collisions: Literal["reassign", "extra_level"] = "reassign"
    """Items with the same codes move to near codes, or get one more level that numbers them."""
    limits: HealthLimits = HealthLimits()
    """Figures at which `fit` refuses the ids."""


class Tokenizer:
    """Vectors of a catalogue to ids that no two items share, and ids for what comes later."""

    ids: SemanticIds
    """The ids of all items, in the order they came."""
    health: HealthReport
    """Figures of the catalogue that was fitted, before equals were told apart."""
    distortion: tuple[float, float]
    """Mean squared distance of vectors from what their codes say, before and after reassignment."""

    def __init__(self, config: TokenizerConfig | None = None, seed: int = 0) -> None:
        self.config = config or TokenizerConfig()
        self.seed = seed
        self.quantizer = _quantizer(self.config, seed)

    def fit(
        self,
        vectors: NDArray[np.float32],
        *,
        labels: NDArray[Any] | None = None,
        counts: NDArray[np.integer] | None = None,
        pairs: NDArray[np.integer] | None = None,
    ) -> Self:
        """Spells a catalogue float32 (N, D); what else is given is as in `measure_codes`.

        DataError when the ids are past the limits, which says what to do.
        """
        codes = self.quantizer.fit_encode(vectors)
        health = check_health(
            self.quantizer, vectors, codes=codes, labels=labels, counts=counts, pairs=pairs
        )
        check(health, self.config.limits)
        if self.config.collisions == "reassign":
            found = reassign(codes, self.quantizer, vectors)
            self.ids = found.ids
            self.distortion = found.distortion_before, found.distortion_after
        else:
            self.ids = SemanticIds.distinct(codes, self.quantizer.sizes)
            missed = vectors - self.quantizer.decode(codes)
            self.distortion = (float((missed**2).sum(dtype=np.float64) / len(codes)),) * 2
        self.health = health
        return self

    def append(self, vectors: NDArray[np.float32]) -> SemanticIds:
        """Gives new items float32 (M, D) the next ids; returns all (N + M). None of old changes."""
        self._check_fitted()
        self.ids = append(self.ids, self.quantizer, vectors)
        return self.ids

    def save(self, path: Path) -> None:
        """Writes one npz, whole or not at all."""
        self._check_fitted()
        settings = {
            "config": self.config.to_dict(),
            "seed": self.seed,
            "health": self.health.to_dict(),
            "distortion": self.distortion,
        }
        arrays: dict[str, Any] = {f"quantizer.{k}": v for k, v in self.quantizer.arrays().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as draft, draft.open("wb") as file:
            np.savez_compressed(
                file,
                settings=np.array(json.dumps(settings)),
                codes=self.ids.codes,
                sizes=np.array(self.ids.sizes, np.int32),
                library_version=np.array(__version__),
                **arrays,
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote; BundleError when it is not there or broken."""
        try:
            with np.load(path, allow_pickle=False) as file:
                settings = json.loads(str(file["settings"]))
                tokenizer = cls(TokenizerConfig(**settings["config"]), settings["seed"])
                tokenizer.quantizer.restore(
                    {k.partition(".")[2]: file[k] for k in file.files if k.startswith("quantizer.")}
                )
                tokenizer.ids = SemanticIds(file["codes"], tuple(file["sizes"].tolist()))
            tokenizer.health = HealthReport.from_dict(settings["health"])
            tokenizer.distortion = tuple(settings["distortion"])
        except (*UNREADABLE, TypeError, RuntimeError, ValidationError) as error:
            raise BundleError(
                f"no tokenizer can be read from {path} ({error}); write it again with save"
            ) from error
        return tokenizer

    def _check_fitted(self) -> None:
        if not hasattr(self, "ids"):
            raise NotFittedError("Tokenizer is not fitted; call fit(vectors) first")


def _quantizer(config: TokenizerConfig, seed: int) -> Quantizer:
    levels, n_codes = config.n_levels or 3, config.n_codes
    seed = int(generator(seed, "tokenizer").integers(2**31 - 1))
    if config.quantizer == "balanced_tree":
        from etalage.tokenize.tree import BalancedTree

        return BalancedTree(n_codes, config.n_levels, seed=seed)
    if config.quantizer == "parallel_kmeans":
        from etalage.tokenize.slots import ParallelKMeans

        return ParallelKMeans(levels, n_codes, seed=seed)
    if config.quantizer == "opq":
        from etalage.tokenize.slots import OPQ

        return OPQ(levels, n_codes, seed=seed)
    if config.quantizer == "rqvae":
        from etalage.tokenize.rqvae import RQVAE

        return RQVAE(levels, n_codes, seed=seed)
    if config.quantizer == "fsq":
        from etalage.tokenize.fsq import FSQ

        return FSQ(levels, n_codes, seed=seed)
    from etalage.tokenize.residual import ResidualKMeans

    return ResidualKMeans(levels, n_codes, seed=seed)
