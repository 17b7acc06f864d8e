"""Self-attention over what you did: SASRec (Kang and McAuley, 2018, arXiv 1808.09781).

Trained with full cross-entropy at every position, which is worth more than most changes to the
network (Klenitskiy and Vasilev, 2023). Letters: B people, L history length, D width, N items,
P positions with a next item.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.layers.attention import CausalBlock, causal_mask, check_heads
from etalage.layers.dropout import Dropout
from etalage.models.network_recommender import NetworkRecommender, learn
from etalage.models.onnx import export_network, export_vectors
from etalage.models.sequential.batches import Sequences, newest_tensor
from etalage.models.sequential.served import Newest
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_draws
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext
from etalage.train.objectives import (
    full_cross_entropy,
    generalised_bce,
    sampled_cross_entropy,
)


class SASRecConfig(ModelConfig):
    """Settings of SASRec."""

    kind: Literal["sasrec"] = "sasrec"
    width: int = Field(64, ge=4)
    """Numbers in an item vector; must be divisible by n_heads."""
    n_layers: int = Field(2, ge=1)
    """Attention blocks."""
    n_heads: int = Field(2, ge=1)
    """Attention heads of a block."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Share of activations dropped in training; small logs want a half."""
    max_length: int = Field(50, ge=1)
    """Newest history items that are read."""
    loss: Literal["cross_entropy", "sampled", "gbce"] = "cross_entropy"
    """Over the whole catalogue, over drawn negatives, or gBCE (Petrov and Macdonald, 2023)."""
    n_negatives: int = Field(256, ge=1)
    """Items drawn in a step for the sampled losses; all positions of the batch share them."""
    calibration: float = Field(0.75, ge=0, le=1)
    """t of gBCE: 0 is plain binary cross-entropy, 1 corrects all of its overconfidence."""
    training: TrainingConfig = TrainingConfig(epochs=100, batch_size=256)
    """The loop."""

    _check_heads = model_validator(mode="after")(check_heads)


class SASRecNetwork(nn.Module):
    """Item and place vectors, causal blocks, a last norm; places count from the oldest item."""

    def __init__(self, n_items: int, config: SASRecConfig) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, config.width)
        self.places = nn.Embedding(config.max_length, config.width)
        blocks = (
            CausalBlock(config.width, config.n_heads, config.dropout)
            for _ in range(config.n_layers)
        )
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.width)
        self.drop = Dropout(config.dropout)
        for table in (self.items, self.places):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, history: Tensor, *, newest_only: bool = False) -> Tensor:
        """history int64 (B, L), left-padded with -1 -> states float (B, L or 1, D)."""
        known = history >= 0
        # counted from the first known item, so that a longer padding changes nothing
        place = (known.cumsum(1) - 1).clamp(min=0)
        x = self.items(history.clamp(min=0)) + self.places(place)  # (B, L, D)
        x = self.drop(x * known[..., None])
        mask = causal_mask(known)
        *blocks, last = self.blocks
        for block in blocks:
            x = block(x, mask)
        return self.norm(last(x, mask, newest_only=newest_only))


class SASRec(NetworkRecommender):
    """score(i) = state of the newest position · vector of item i."""

    config_type = SASRecConfig
    config: SASRecConfig
    network: SASRecNetwork

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.history_length = self.config.max_length

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        self.n_items = data.n_items
        self.network = self._initial(context.seed)
        log = data.interactions
        sequences = Sequences(
            log.items, log.offsets, self.config.max_length, self.config.training.batch_size
        )

        def loss(history: Tensor) -> Tensor:
            before, after = history[:, :-1], history[:, 1:]
            asked = (before >= 0) & (after >= 0)
            states = self.network(before)[asked]  # (P, D)
            return self._loss(states, after[asked])

        return learn(self, self.network, sequences, loss, self.config.training, context)

    def _loss(self, before: Tensor, targets: Tensor) -> Tensor:
        weight = self.network.items.weight
        if self.config.loss == "cross_entropy":
            return full_cross_entropy(before, weight, targets)
        negatives = torch.randint(self.n_items, (self.config.n_negatives,))
        if self.config.loss == "sampled":
            return sampled_cross_entropy(before, weight, targets, negatives)
        return generalised_bce(before, weight, targets, negatives, self.config.calibration)

    def encode(self, histories: Histories) -> NDArray[np.float32]:
        """State of each person, float32 (B, D)."""
        self.check_histories(histories)
        if not len(histories):
            return np.zeros((0, self.config.width), dtype=np.float32)
        history = newest_tensor(histories, self.config.max_length)
        with torch.inference_mode():
            return self.network(history, newest_only=True)[:, 0].float().numpy()

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Scores of all items, float32 (B, N); NaN without a history, as no loss asks for that."""
        scores = self.encode(histories) @ self.item_vectors().T
        scores[histories.lengths == 0] = np.nan
        return scores

    def export(self, folder: Path) -> None:
        """Writes `encoder.onnx` (history int64 (1, L <= max_length), no padding -> state
        float32 (1, D)) and `item_vectors.npy`; a score is state · vector."""
        self.check_fitted()
        history = {"history": (torch.arange(self.config.max_length) % self.n_items)[None]}
        path = folder / "encoder.onnx"
        network, blocks = self.network, cast(list[CausalBlock], list(self.network.blocks))
        newest = Newest(network.items, network.places, blocks, network.norm)
        export_network(newest, history, "state", path, free_length="history")
        export_vectors(self.item_vectors(), folder)

    def _initial(self, seed: int) -> SASRecNetwork:
        with torch_draws(seed, "sasrec"):
            return SASRecNetwork(self.n_items, self.config).eval()
