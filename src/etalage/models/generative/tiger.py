"""A small generator of semantic ids, after TIGER (Rajput et al., 2023, arXiv 2305.05065).

As in TIGER an item is spelled by residual codes of its content, a transformer reads the history as
codes and writes the codes of the next item one by one, and a beam search turns that into a list.
Where TIGER's T5 reads every code as a token of its own, this network takes the form of the
RQ-Transformer (Lee et al., 2022, arXiv 2203.01941), made for residual codes: an item enters as the
sum of its code vectors, a causal transformer reads the items once for all positions, and a small
network writes the codes from a position's state plus the sum of what it has written, as codes of
residuals add up. Sequences are L times shorter and every position is a target, so training costs a
small fraction; and beams share the state, so that nothing needs a cache of keys and values.

The softmax of a code is over the codes that exist after those before it, in training as in search.
So no capacity goes into learning which ids exist, and p(i) adds up to one over the catalogue.

Letters: B people, T history length, N items, L levels, D width, P positions, K beams, V codes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories, ItemSets, TopK
from etalage.layers.attention import CausalBlock, causal_mask, check_heads
from etalage.layers.dropout import Dropout
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.generative.beam import beam_search
from etalage.models.generative.spelling import item_vectors
from etalage.models.recommender import Recommender
from etalage.models.sequential.batches import Sequences, newest_tensor
from etalage.models.weights import put_weights, weights_of
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_seed
from etalage.tokenize.health import HealthReport, check_health
from etalage.tokenize.residual import ResidualKMeans
from etalage.tokenize.semantic_ids import SemanticIds
from etalage.tokenize.trie import Trie
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext
from etalage.train.loop import autocast, train

ROWS_AT_ONCE = 2**15
"""Beams of all people that the network scores at once."""


class TIGERConfig(ModelConfig):
    """Settings of the generator and of the ids it writes."""

    kind: Literal["tiger"] = "tiger"
    n_levels: int = Field(3, ge=1)
    """Codes of an item, coarse to fine; one more tells equals apart where there are any."""
    n_codes: int = Field(64, ge=2)
    """Codes of a level. More spell items apart, fewer let rare items learn from common ones."""
    vector_width: int = Field(64, ge=1)
    """Numbers in the item vectors that are quantised."""
    width: int = Field(64, ge=4)
    """Width of the network; must be divisible by n_heads."""
    n_layers: int = Field(2, ge=1)
    """Attention blocks that read the history."""
    n_heads: int = Field(2, ge=1)
    """Attention heads of a block."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of activations dropped in training."""
    max_length: int = Field(50, ge=1)
    """Newest history items that are read."""
    n_beams: int = Field(20, ge=1)
    """Beams kept when writing; a longer list asked for takes as many as it has places."""
    training: TrainingConfig = TrainingConfig(
        epochs=12, batch_size=128, learning_rate=4e-3, schedule="cosine", warmup_steps=50
    )
    """The loop."""

    _check_heads = model_validator(mode="after")(check_heads)


class TIGERNetwork(nn.Module):
    """Reads items as sums of code vectors, and writes codes level by level."""

    tokens: Tensor

    def __init__(self, ids: SemanticIds, config: TIGERConfig) -> None:
        super().__init__()
        self.codes = ids.codes
        self.trie = Trie(ids.codes)
        firsts = np.cumsum([0, *self.trie.sizes])  # level l has rows firsts[l]:firsts[l + 1]
        self.firsts: list[int] = firsts.tolist()
        tokens = torch.from_numpy(ids.codes + firsts[:-1])  # (N, L)
        self.register_buffer("tokens", tokens, persistent=False)
        width = config.width
        self.table = nn.Embedding(self.firsts[-1], width)  # what is read, and what is written next
        self.written = nn.Embedding(self.firsts[-1], width)  # what was written before
        self.places = nn.Embedding(config.max_length + 1, width)
        self.levels = nn.Embedding(ids.n_levels, width)
        self.start = nn.Parameter(torch.empty(width))
        blocks = (
            CausalBlock(width, config.n_heads, config.dropout) for _ in range(config.n_layers)
        )
        self.blocks = nn.ModuleList(blocks)
        self.norm_read = nn.LayerNorm(width)
        self.norm_said = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.norm_write = nn.LayerNorm(width)
        self.drop = Dropout(config.dropout)
        tables = (self.table, self.written, self.places, self.levels)
        for weight in (*(table.weight for table in tables), self.start):
            nn.init.normal_(weight, std=0.02)

    def read(self, history: Tensor) -> Tensor:
        """history int64 (B, T), left-padded with -1 -> states (B, T + 1, D).

        State t knows the t items before it; a learned start stands before the first item, so that
        the state of an empty history is learned as well.
        """
        history = nn.functional.pad(history, (1, 0), value=-1)  # (B, T + 1)
        n_known = (history >= 0).sum(1, keepdim=True)
        column = torch.arange(history.shape[1])
        known = column >= history.shape[1] - 1 - n_known  # the items, and the start before them
        vectors = self.table(self.tokens[history.clamp(min=0)]).sum(2)  # (B, T + 1, D)
        x = torch.where(history[..., None] >= 0, vectors, self.start)
        place = (known.cumsum(1) - 1).clamp(min=0)
        x = self.drop((x + self.places(place)) * known[..., None])
        mask = causal_mask(known)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm_read(x)

    def write(self, said: Tensor, level: int) -> Tensor:
        """said (P, D): a state plus the vectors of codes written -> logits (P, V) of a level."""
        x = said + self.levels.weight[level]
        inner = nn.functional.gelu(self.expand(self.norm_said(x)))  # (P, 4D)
        x = self.norm_write(x + self.contract(inner))
        return x @ self.table.weight[self.firsts[level] : self.firsts[level + 1]].T

    def loss(self, history: Tensor) -> Tensor:
        """Mean of -log p(item), over every item of histories int64 (B, T)."""
        asked = history >= 0
        items = history[asked]  # (P,)
        said = self.read(history[:, :-1])[asked]  # (P, D)
        n_asked, n_more = len(items), -len(items) % 128
        # rows that no one asks for leave few shapes of matrices (`few_lengths`)
        items = nn.functional.pad(items, (0, n_more))
        said = nn.functional.pad(said, (0, 0, 0, n_more))
        codes = self.codes[items.numpy()]  # (P, L)
        total = torch.zeros(())
        for level in range(codes.shape[1]):
            exists = torch.from_numpy(self.trie.allowed(codes[:, :level]))  # (P, V)
            logits = self.write(said, level).float().masked_fill(~exists, -torch.inf)
            code = torch.from_numpy(codes[:n_asked, level]).long()
            total = total + nn.functional.cross_entropy(logits[:n_asked], code)
            said = said + self.written(self.tokens[items, level])
        return total


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

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        settings = self.config.training
        vectors = item_vectors(data, self.config.vector_width, context.seed)  # (N, D)
        quantizer = ResidualKMeans(self.config.n_levels, self.config.n_codes, seed=context.seed)
        quantizer.fit(vectors)
        self._prepare(quantizer.spell(vectors), context.seed)
        self.health = check_health(quantizer, vectors)
        log = data.interactions
        sequences = Sequences(log.items, log.offsets, self.config.max_length, settings.batch_size)

        def loss(history: Tensor) -> Tensor:
            with autocast(settings):
                return self.network.loss(history)

        return train(
            self.network,
            sequences.batches,
            loss,
            n_steps=sequences.n_batches,
            config=settings,
            context=context,
            validate=context.judge_of(self),
        )

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Log-probabilities of the items that the beams found, float32 (B, N); NaN elsewhere."""
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
        """Writes the k likeliest items; no beam is spent on items that may not be shown."""
        exclude, among = self.checked_question(histories, k, exclude, among)
        n_beams = min(max(k, self.config.n_beams), self.n_items)
        top = TopK.empty(len(histories), k)
        at_once = max(ROWS_AT_ONCE // n_beams, 1)
        for start in range(0, len(histories), at_once):
            rows = np.arange(start, min(start + at_once, len(histories)))
            wanted = self._wanted(None if exclude is None else exclude.take(rows), among)
            step = partial(self._step, self._states(histories.take(rows)))
            found = beam_search(step, self.network.trie, len(rows), n_beams, wanted)
            n_found = min(k, n_beams)
            top.items[rows, :n_found] = found.items[:, :n_found]
            top.scores[rows, :n_found] = found.scores[:, :n_found]
        return top

    def save(self, folder: Path) -> None:
        self.check_fitted()
        sizes = np.array(self.ids.sizes, dtype=np.int32)
        ids = {"ids.codes": self.ids.codes, "ids.sizes": sizes}
        save_arrays(folder, self, **ids, **weights_of(self.network))

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        sizes = tuple(arrays.pop("ids.sizes").tolist())
        model._prepare(SemanticIds(arrays.pop("ids.codes"), sizes), seed=0)
        put_weights(model.network, arrays, folder)
        return model

    def _prepare(self, ids: SemanticIds, seed: int) -> None:
        self.ids = ids
        self.n_items = len(ids)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, "tiger"))
            self.network = TIGERNetwork(ids, self.config).eval()

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

    def _states(self, histories: Histories) -> Tensor:
        history = newest_tensor(histories, self.config.max_length)
        with torch.inference_mode():
            return self.network.read(history)[:, -1]  # (B, D)

    def _step(self, states: Tensor, prefixes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Logits of the codes that follow prefixes (B, K, l): float32 (B, K, V)."""
        n_people, n_beams, level = prefixes.shape
        firsts = np.array(self.network.firsts[:level], dtype=np.int64)
        with torch.inference_mode():
            written = self.network.written(torch.from_numpy(prefixes + firsts)).sum(2)  # (B, K, D)
            said = (states[:, None] + written).view(n_people * n_beams, -1)
            return self.network.write(said, level).view(n_people, n_beams, -1).numpy()
