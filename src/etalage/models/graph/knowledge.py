"""What is known of items and people, and which factors do they share? Nodes that AutoGraph adds.

Vectors say what an item is, from its text or, without any, from who took it; a person is what they
took, newest first. Residual codes of these vectors are latent factors: all who share a code share
a node, so the graph grows by a few hundred nodes and L links a node, and by no pairs.
Letters: U users, N items, V nodes of a side, S width of the vectors, L levels, K codes of a level.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.errors import DataError
from etalage.language.projection import unit_rows
from etalage.language.told import told_of
from etalage.layers.propagation import inverse_root
from etalage.models.content import item_texts, item_vectors, text_vectors
from etalage.recipe.config import Config
from etalage.tokenize.residual import ResidualKMeans

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FADING = 0.9
"""What an item counts for a person, beside the next newer one."""
MEMBERS = 32
"""Nodes that share a code on average, where it is not told how many codes there are."""


class KnowledgeConfig(Config):
    """Where what is known comes from, and how many factors it is made into."""

    text_encoder: str = "hashing"
    """What reads the items' text: hashing, minilm, or a sentence encoder's name or folder."""
    vector_width: int = Field(128, ge=1)
    """Numbers in the vectors that are quantised."""
    items_told: Path | None = None
    """Texts about the items that `etalage knowledge texts` wrote; None reads the item table."""
    users_told: Path | None = None
    """Texts about the users, of the very log that is learnt from; None takes what they took."""
    n_levels: int = Field(3, ge=1)
    """Factors of a node, from coarse to fine."""
    n_user_codes: int | None = Field(None, ge=2)
    """Codes of a level for users; None is about one for 32 of them."""
    n_item_codes: int | None = Field(None, ge=2)
    """Codes of a level for items; None is about one for 32 of them."""


def people_vectors(items: NDArray[np.float32], log: Interactions) -> NDArray[np.float32]:
    """What people took, float32 (U, S), unit rows: the sum over their items, newest first, of
    0.9^age / sqrt(how many took it) times the item's vector; zeros for who took nothing."""
    from scipy.sparse import csr_array

    ages = np.repeat(log.offsets[1:], np.diff(log.offsets)) - 1 - np.arange(len(log.items))
    takers = np.bincount(log.matrix().indices, minlength=log.n_items)  # each once
    weights = (FADING**ages * inverse_root(takers)[log.items]).astype(np.float32)
    shape = (len(log.offsets) - 1, len(items))
    return unit_rows(csr_array((weights, log.items, log.offsets), shape=shape) @ items)


def known_of(
    data: Dataset, config: KnowledgeConfig, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of users (U, S) and items (N, S), from the training log, the catalogue, and what a
    language model told of either.

    Raises:
        DataError: for texts about users that tell of another log, or stand without any of items.
    """
    if config.items_told is None and config.users_told is None:
        items = item_vectors(data, config, seed)
        return people_vectors(items, data.interactions), items
    texts = item_texts(data)
    if config.items_told is not None:
        told = told_of(config.items_told, "items", data)
        texts = [text or own for text, own in zip(told, texts or told, strict=True)]
    if texts is None:
        raise DataError(
            f"{config.users_told} tells of users in words, and {data.name} has none about items; "
            "give items_told, or a table with the columns item and title beside the log"
        )
    if config.users_told is None:
        items = text_vectors(texts, config, seed)
        return people_vectors(items, data.interactions), items
    people = told_of(config.users_told, "users", data)
    both = text_vectors(people + texts, config, seed)  # in one space
    return both[: len(people)], both[len(people) :]


def n_codes_for(n_nodes: int) -> int:
    """A power of two from 32 to 1,024, with about 32 nodes a code."""
    return int(np.clip(2 ** np.round(np.log2(max(n_nodes / MEMBERS, 1))), 32, 1024))


def factors(
    vectors: NDArray[np.float32], n_levels: int, n_codes: int | None, seed: int
) -> csr_array:
    """Which factors each node has, ones (V, L K): code c of level l is factor l K + c.

    Nodes of which nothing is known, whose vectors are zeros, have none.
    """
    from scipy.sparse import csr_array

    is_known = vectors.any(1)
    n_codes = min(n_codes or n_codes_for(len(vectors)), max(int(is_known.sum()), 2))
    codes = np.zeros((0, n_levels), np.int64)
    if is_known.any():
        quantizer = ResidualKMeans(n_levels, n_codes, seed=seed).fit(vectors[is_known])
        codes = quantizer.encode(vectors[is_known]) + np.arange(n_levels) * n_codes
    starts = np.concatenate([[0], np.cumsum(is_known * n_levels)])
    ones = np.ones(codes.size, np.float32)
    return csr_array((ones, codes.ravel(), starts), shape=(len(vectors), n_levels * n_codes))
