"""Explicit feature crosses beside a deep network: DCN-V2 (Wang et al., 2021, arXiv 2008.13535).

The two stand in parallel and a last layer reads both. A person's history enters as the mean of
the vectors of its items, which share their table with the first field.

Letters: B rows, F category fields, M numbers, L history length, D width of a field, C columns
in all: (F + 1) D + M.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from etalage.data.features import FeatureTable
from etalage.errors import DataError, NotFittedError
from etalage.layers.cross import CrossStack
from etalage.layers.dropout import Dropout
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.onnx import export_network
from etalage.models.ranker import Ranker
from etalage.models.weights import put_weights, weights_of
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_seed
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext
from etalage.train.loop import autocast, train

SCORED_AT_ONCE = 8192


class DCNConfig(ModelConfig):
    """Settings of DCN-V2."""

    kind: Literal["dcn"] = "dcn"
    width: int = Field(16, ge=1)
    """Numbers in the vector of a code."""
    n_crosses: int = Field(3, ge=1)
    """Cross layers."""
    hidden: tuple[int, ...] = (128, 64)
    """Widths of the deep layers."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of deep activations dropped in training."""
    vector_decay: float = Field(1e-4, ge=0)
    """Weight of the squared vectors of a batch's codes in the loss; keeps rare codes near 0."""
    training: TrainingConfig = TrainingConfig(
        epochs=10, batch_size=2048, learning_rate=2e-3, monitor="auc", patience=2
    )
    """The loop."""


class DCNNetwork(nn.Module):
    """One table of vectors for all fields; code 0 of a field is unknown, and counts as zero."""

    starts: Tensor  # (F,) row of each field's code 0

    def __init__(self, sizes: tuple[int, ...], n_numbers: int, history: bool, config: DCNConfig):
        super().__init__()
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.register_buffer("starts", torch.from_numpy(starts.astype(np.int64)), persistent=False)
        self.vectors = nn.Embedding(sum(sizes), config.width)
        nn.init.normal_(self.vectors.weight, std=0.01)
        n_fields = len(sizes) + history
        n_columns = n_fields * config.width + n_numbers
        self.cross = CrossStack(n_columns, config.n_crosses)
        widths = (n_columns, *config.hidden)
        self.deep = nn.Sequential(
            *(
                layer
                for before, after in pairwise(widths)
                for layer in (nn.Linear(before, after), nn.ReLU(), Dropout(config.dropout))
            )
        )
        self.out = nn.Linear(n_columns + widths[-1], 1)

    def look_up(self, categories: Tensor, history: Tensor | None) -> Tensor:
        """Vectors of the fields, float (B, (F or F + 1) D).

        categories int64 (B, F); history int64 (B, L), or (1, L) where it is the same for all.
        """
        # unknown is zero by a mask, not by its row: a row would drift with every step
        fields = self.vectors(categories + self.starts) * (categories > 0)[..., None]  # (B, F, D)
        flat = fields.flatten(1)
        if history is None:
            return flat
        known = (history >= 0)[..., None]  # (B, L, 1)
        past = self.vectors((history + 1).clamp(min=0)) * known  # (B, L, D)
        mean = past.sum(1) / known.sum(1).clamp(min=1)
        return torch.cat([flat, mean.expand(flat.shape[0], -1)], 1)

    def read(self, vectors: Tensor, numbers: Tensor) -> Tensor:
        """Logits, float (B,), from vectors (B, F D) and numbers (B, M)."""
        columns = torch.cat([vectors, numbers], 1)  # (B, C)
        both = torch.cat([self.cross(columns), self.deep(columns)], 1)
        return self.out(both).squeeze(1)

    def forward(self, categories: Tensor, numbers: Tensor, history: Tensor | None = None) -> Tensor:
        """Logits, float (B,)."""
        return self.read(self.look_up(categories, history), numbers)


class DCN(Ranker):
    """logit = w · [cross(x), deep(x)] + b, trained by log-loss."""

    config_type = DCNConfig
    config: DCNConfig
    sizes: tuple[int, ...] = ()

    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        self.sizes = tuple(table.sizes.values())
        self.n_numbers = table.numbers.shape[1]
        self.history_length = table.history_length
        self.network = self._initial(context.seed)
        rate = float(table.labels.mean())
        with torch.no_grad():
            self.network.out.bias.fill_(np.log(rate / (1 - rate)))  # the first step starts level
        size = self.config.training.batch_size
        starts = range(0, len(table), size)

        def batches(rng: np.random.Generator) -> Iterator[FeatureTable]:
            order = rng.permutation(len(table))
            for start in starts:
                yield table.take(np.sort(order[start : start + size]))

        def loss(batch: FeatureTable) -> Tensor:
            categories, numbers, history = _tensors(batch)
            with autocast(self.config.training):
                vectors = self.network.look_up(categories, history)
                logits = self.network.read(vectors, numbers).float()
            clicks = torch.from_numpy(batch.labels.astype(np.float32))
            misses = nn.functional.binary_cross_entropy_with_logits(logits, clicks)
            return misses + self.config.vector_decay * vectors.float().square().sum(1).mean()

        return train(
            self.network,
            batches,
            loss,
            n_steps=len(starts),
            config=self.config.training,
            context=context,
            validate=context.judge_of(self),
        )

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        self._check_columns(table)
        logits = np.empty(len(table), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(table), SCORED_AT_ONCE):
                rows = slice(start, start + SCORED_AT_ONCE)
                logits[rows] = self.network(*_tensors(table.take(rows))).numpy()
        return logits

    def export(self, folder: Path) -> None:
        """Writes `ranker.onnx`: categories int64 (B, F), numbers float32 (B, M), and, where the
        table had one, history int64 (1, L), that of one person -> logit float32 (B,)."""
        self._check_fitted()
        inputs: dict[str, Tensor] = {
            "categories": torch.ones(2, len(self.sizes), dtype=torch.int64),
            "numbers": torch.zeros(2, self.n_numbers),
        }
        if self.history_length:
            inputs["history"] = torch.zeros(1, self.history_length, dtype=torch.int64)
        export_network(self.network, inputs, "logit", folder / "ranker.onnx")

    def save(self, folder: Path) -> None:
        self._check_fitted()
        shape = np.array([self.n_numbers, self.history_length, *self.sizes])
        save_arrays(folder, self, shape=shape, **weights_of(self.network))

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model.n_numbers, model.history_length, *sizes = arrays.pop("shape").tolist()
        model.sizes = tuple(sizes)
        model.network = model._initial(seed=0)
        put_weights(model.network, arrays, folder)
        return model

    def _initial(self, seed: int) -> DCNNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, "dcn"))
            has_history = self.history_length > 0
            return DCNNetwork(self.sizes, self.n_numbers, has_history, self.config).eval()

    def _check_fitted(self) -> None:
        if not self.sizes:
            raise NotFittedError("DCN is not fitted; call fit(table) first")

    def _check_columns(self, table: FeatureTable) -> None:
        self._check_fitted()
        given = (tuple(table.sizes.values()), len(table.number_names), table.history_length)
        fitted = (self.sizes, self.n_numbers, self.history_length)
        if given != fitted:
            raise DataError(
                f"the table has (code counts, numbers, history length) {given}; this ranker was "
                f"fitted on {fitted}"
            )


def _tensors(table: FeatureTable) -> tuple[Tensor, Tensor, Tensor | None]:
    def whole(codes: NDArray[Any]) -> Tensor:
        return torch.from_numpy(codes.astype(np.int64))

    history = None if table.history is None else whole(table.history)
    return whole(table.categories), torch.from_numpy(np.asarray(table.numbers)), history
