"""Generators of semantic ids, after TIGER (Rajput et al., 2023, arXiv 2305.05065).

An item is spelled by residual codes of its content, a transformer reads the history as codes and
writes the codes of the next item one by one, and a beam search turns that into a list. TIGER's own
network is a small T5 (`network: encoder_decoder`). Two others do the same for less: a decoder that
learns from all positions of a history at once, and one that reads and writes sums of code vectors.

The softmax of a code may be over the codes that exist after those before it, in training as in
search. Then no capacity goes into learning which ids exist, and p(i) adds up to one over the
catalogue.

Letters: B people, N items, L levels, D width, K beams.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories, ItemSets, TopK
from etalage.errors import DataError
from etalage.layers.attention import CausalBlock, check_heads
from etalage.layers.eight_bits import in_eight_bits
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.content import item_vectors
from etalage.models.generative.decoder import DecoderNetwork
from etalage.models.generative.encoder_decoder import EncoderDecoderNetwork
from etalage.models.generative.network import CodeNetwork
from etalage.models.generative.residual import ResidualNetwork
from etalage.models.generative.served import check_form, export_generator
from etalage.models.generative.spelling import SpellingConfig, spelled
from etalage.models.network_recommender import learn
from etalage.models.recommender import Recommender
from etalage.models.sequential.batches import newest_tensor
from etalage.models.weights import put_weights, weights_of
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_draws
from etalage.tokenize.beam import beam_search
from etalage.tokenize.health import HealthReport
from etalage.tokenize.semantic_ids import SemanticIds
from etalage.tokenize.tokenizer import Tokenizer
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext

NETWORKS: dict[str, type[CodeNetwork]] = {
    "residual": ResidualNetwork,
    "decoder": DecoderNetwork,
    "encoder_decoder": EncoderDecoderNetwork,
}


MASKS_AT_ONCE = 2**25
"""Items times people whose masks are held at once, a byte each, and as much for every level."""


class TIGERConfig(ModelConfig):
    """Settings of the generator and of the ids it writes."""

    kind: Literal["tiger"] = "tiger"
    tokens: SpellingConfig = SpellingConfig()
    """How items are spelled."""
    network: Literal["residual", "decoder", "encoder_decoder"] = "residual"
    """Reads sums of code vectors, or codes one by one; the last is TIGER's own, and the slowest."""
    softmax: Literal["children", "level", "vocabulary"] = "children"
    """What a code competes with: codes that exist after those before it, all of its level, or all
    codes, as in TIGER."""
    width: int = Field(64, ge=4)
    """Width of the network; must be divisible by n_heads, unless there is a head_width."""
    n_layers: int = Field(2, ge=1)
    """Attention blocks that read the history, and in an encoder_decoder as many that write."""
    n_heads: int = Field(2, ge=1)
    """Attention heads of a block."""
    head_width: int | None = Field(None, ge=1)
    """Numbers of a head; None shares the width among the heads."""
    inner_width: int | None = Field(None, ge=1)
    """Width inside a feed-forward; None is 4 times the width."""
    mixing_width: int = Field(512, ge=1)
    """Width inside what makes one vector of an item's codes, where the network is residual."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of activations dropped in training."""
    max_length: int = Field(50, ge=1)
    """Newest history items that are read."""
    n_beams: int = Field(20, ge=1)
    """Beams kept when writing; a longer list asked for takes as many as it has places."""
    search_precision: Literal["float32", "bfloat16", "int8"] = "float32"
    """Number format of the products of a search. For many lists at once both shorter ones take
    about two thirds of the time, where the processor has units for them, and change some places."""
    training: TrainingConfig = TrainingConfig(
        epochs=12, batch_size=128, learning_rate=4e-3, schedule="cosine", warmup_steps=50
    )
    """The loop."""

    @model_validator(mode="after")
    def _check_heads(self) -> TIGERConfig:
        return self if self.head_width else check_heads(self)

    @property
    def head(self) -> int:
        """Numbers of a head."""
        return self.head_width or self.width // self.n_heads

    def block(self) -> CausalBlock:
        """A block of these sizes."""
        return CausalBlock(self.width, self.n_heads, self.dropout, self.head, self.inner_width)


class TIGER(Recommender):
    """log p(i) = sum over levels l of log p(c_l | c_0 ... c_{l-1}, history), c the codes of i."""

    config_type = TIGERConfig
    config: TIGERConfig
    scores_all_items = False

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.history_length = self.config.max_length
        self.health: HealthReport | None = None
        """Figures of the ids, after `fit`; None in a loaded model."""
        self._short: tuple[tuple[Any, ...], CodeNetwork] | None = None

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        settings = self.config.training
        vectors = self._vectors(data, context)  # (N, D)
        tokenizer = self._spelled(data, vectors, context.seed)
        self._prepare(tokenizer.ids, context.seed)
        self.health = tokenizer.health
        log = data.interactions
        sequences = self.network.batches_of(
            log.items, log.offsets, self.config.max_length, settings.batch_size
        )
        return learn(self, self._learners(context.seed), sequences, self._loss, settings, context)

    def _vectors(self, data: Dataset, context: TrainContext) -> NDArray[np.float32]:
        """What is quantised, float32 (N, D)."""
        return item_vectors(data, self.config.tokens, context.seed)

    def _spelled(self, data: Dataset, vectors: NDArray[np.float32], seed: int) -> Tokenizer:
        """Ids of the vectors (N, D)."""
        return spelled(data, vectors, self.config.tokens, seed)

    def _learners(self, seed: int) -> nn.Module:
        """What is trained: the network, and what teaches it."""
        return self.network

    def _loss(self, history: Tensor) -> Tensor:
        return self.network.spell(history).surprise

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """What `recommend` orders by, log-probabilities, of the items that the beams found, float32
        (B, N); NaN elsewhere."""
        top = self.recommend(histories, self.config.n_beams)
        scores = np.full((len(histories), self.n_items), np.nan, dtype=np.float32)
        row, place = np.nonzero(top.items >= 0)
        scores[row, top.items[row, place]] = top.scores[row, place]
        return scores

    def recommend(
        self,
        histories: Histories,
        k: int,
        *,
        exclude: ItemSets | None = None,
        among: NDArray[np.int32] | None = None,
    ) -> TopK:
        """Writes the k likeliest items; no beam is spent on items that may not be shown.

        DataError for what `Recommender.recommend` refuses, and for weights that have diverged.
        """
        exclude, among = self.checked_question(histories, k, exclude, among)
        n_beams = min(max(k, self.config.n_beams), self.n_items)
        top = TopK.empty(len(histories), k)
        at_once = max(self.network.rows_at_once // n_beams, 1)
        if exclude is not None:
            at_once = max(min(at_once, MASKS_AT_ONCE // self.n_items), 1)
        network = self._searching()
        # people of like length go together, so that little is padding
        order = np.argsort((histories.items >= 0).sum(1), kind="stable")
        for start in range(0, len(order), at_once):
            rows = order[start : start + at_once]
            wanted = self._wanted(None if exclude is None else exclude.take(rows), among)
            history = newest_tensor(histories.take(rows), self.config.max_length)
            with torch.inference_mode():
                step = network.reader(history, n_beams)
            items, scores = beam_search(
                step,
                self.network.trie,
                len(rows),
                n_beams,
                wanted,
                normalised=self.config.softmax != "children",
            )
            if np.isnan(scores).any():
                raise DataError(
                    f"{type(self).__name__} gives log-probabilities that are no numbers: its "
                    "weights have diverged; fit it again, with a smaller training.learning_rate"
                )
            n_found = min(k, items.shape[1])
            top.items[rows, :n_found] = items[:, :n_found]
            top.scores[rows, :n_found] = scores[:, :n_found]
        return top

    def _searching(self) -> CodeNetwork:
        """The network in the numbers of a search."""
        network, precision = self.network, self.config.search_precision
        if precision == "float32":
            return network
        # every step counts up the versions of what it moves
        versions = (precision, *(weight._version for weight in network.parameters()))
        if self._short is None or self._short[0] != versions:
            shared = {id(part): part for part in (network.trie, network.codes)}
            short = copy.deepcopy(network, shared)
            if precision == "int8":
                in_eight_bits(short)
            else:
                short.to(torch.bfloat16)
            self._short = versions, short
        return self._short[1]

    def check_servable(self) -> None:
        check_form(self.config)

    def export(self, folder: Path) -> None:
        """Writes the files that `served.py` tells of; RecipeError for a form without any."""
        export_generator(self, folder)

    def save(self, folder: Path) -> None:
        self.check_fitted()
        save_arrays(folder, self, **self._arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model._restore(arrays, folder)
        return model

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """What a saved model is made of."""
        sizes = np.array(self.ids.sizes, dtype=np.int32)
        ids = {"ids.codes": self.ids.codes, "ids.sizes": sizes}
        return ids | weights_of(self.network)

    def _restore(self, arrays: dict[str, NDArray[Any]], folder: Path) -> None:
        """Puts back what `_arrays` gave."""
        sizes = tuple(arrays.pop("ids.sizes").tolist())
        self._prepare(SemanticIds(arrays.pop("ids.codes"), sizes), seed=0)
        put_weights(self.network, arrays, folder)

    def _prepare(self, ids: SemanticIds, seed: int) -> None:
        self.ids = ids
        self.n_items = len(ids)
        with torch_draws(seed, "tiger"):
            self.network = NETWORKS[self.config.network](ids, self.config).eval()
        self._short = None

    def _wanted(
        self, exclude: ItemSets | None, among: NDArray[np.int32] | None
    ) -> NDArray[np.bool_] | None:
        """Items that may be shown, bool (B, N) or (1, N); None for all."""
        if exclude is None and among is None:
            return None
        wanted = np.full((1, self.n_items), among is None)
        if among is not None:
            wanted[0, among] = True
        if exclude is not None:
            wanted = np.repeat(wanted, len(exclude), axis=0)
            wanted[exclude.row_of_entry, exclude.items] = False
        return wanted
