"""Which shop is this? The log of a recipe, cut, with what its items are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.describe import Description, describe
from etalage.data.formats.catalogue import column_texts
from etalage.data.ingest import open_dataset
from etalage.data.kcore import k_core
from etalage.data.simulated import SimulatedConfig, Truth, simulate
from etalage.data.split import Split, global_time, leave_one_out
from etalage.errors import DataError
from etalage.models.content import item_vectors
from etalage.models.generative.spelling import SpellingConfig, spelled
from etalage.models.recommender import Recommender
from etalage.recipe.recipe import Recipe, checked
from etalage.tokenize.health import HealthLimits, HealthReport
from etalage.tokenize.semantic_ids import SemanticIds


@dataclass(frozen=True)
class Shop:
    """Everything a run starts from."""

    data: Dataset
    split: Split
    description: Description
    truth: Truth | None
    """What really makes people click; known for the simulated shop only."""

    @property
    def training_data(self) -> Dataset:
        """The shop as models may know it: the log up to the first cut."""
        return self.data.with_interactions(self.split.train)


@dataclass(frozen=True)
class Spelling:
    """What items are made of, and how that is spelled."""

    vectors: NDArray[np.float32]  # (N, D)
    ids: SemanticIds
    health: HealthReport
    quantizer: str

    def shown_with(self, retriever: Recommender | None) -> Spelling:
        """What the window shows: a generator's own ids, where one is served."""
        generator: Any = retriever
        if getattr(generator, "health", None) is None:
            return self
        quantizer = generator.config.tokens.quantizer
        return replace(self, ids=generator.ids, health=generator.health, quantizer=quantizer)


def open_shop(recipe: Recipe, *, now_ms: int | None = None) -> Shop:
    """Reads or simulates the log of a recipe, and cuts it.

    Times of a log that is read are held against `now_ms`, or the clock where it is not given; a
    simulated shop has its own time, and is the same whenever it opens.
    """
    wanted = recipe.data
    truth = None
    if wanted.path is None:
        config = checked(SimulatedConfig, wanted.simulated, "data.simulated")
        data, truth = simulate(config, seed=recipe.seed)
        now_ms = None
    else:
        now_ms = int(1000 * time()) if now_ms is None else now_ms
        data = open_dataset(
            wanted.path,
            user=wanted.user,
            item=wanted.item,
            time=wanted.time,
            value=wanted.value,
            clicked=wanted.clicked,
            encoding=wanted.encoding,
        )
    if wanted.core > 1:
        data = k_core(data, users=wanted.core, items=wanted.core)
    log, found = data.interactions, describe(data, now_ms=now_ms)
    by_time = wanted.split.kind == "global_time" or (
        wanted.split.kind == "auto" and found.has_clock
    )
    if by_time:
        split = global_time(log, valid=wanted.split.valid, test=wanted.split.test)
    else:
        split = leave_one_out(log)
    if data.n_items < 2:
        raise DataError(f"{data.name} has {data.n_items} item; there is nothing to choose from")
    if len(split.valid) < 2 or not len(split.test):
        raise DataError(
            f"{data.name} is too small to judge a model on: {len(split.valid)} validation and "
            f"{len(split.test)} test questions; at least 2 and 1 are needed. A question is someone "
            "with something before it; take a longer log, or larger shares with "
            "--set data.split.valid=0.2 --set data.split.test=0.2"
        )
    return Shop(data, split, found, truth)


def spell_items(shop: Shop, recipe: Recipe) -> Spelling:
    """Spells every item of the catalogue, as `tokens` of a recipe says."""
    data, config = shop.training_data, token_settings(recipe)
    vectors = item_vectors(data, config, recipe.seed)
    tokenizer = spelled(data, vectors, config, recipe.seed)
    return Spelling(vectors, tokenizer.ids, tokenizer.health, config.quantizer)


def token_settings(recipe: Recipe) -> SpellingConfig:
    """How a recipe spells items; RecipeError for a setting that does not exist.

    Tiles of a window may be poor, so nothing is refused, unless the recipe says so.
    """
    limits = recipe.tokens.get("limits", {})
    if isinstance(limits, dict):
        limits = dict.fromkeys(HealthLimits.model_fields) | limits
    return checked(SpellingConfig, recipe.tokens | {"limits": limits}, "tokens")


def item_names(data: Dataset) -> tuple[list[str], list[str]]:
    """Title and category of each item, '' where there is none; lists of categories are joined."""
    titles, categories = (
        column_texts(data.item_table, name, data.n_items) for name in ("title", "category")
    )
    return titles, categories
