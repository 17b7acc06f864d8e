"""What do all rankers with a network share? A table of vectors, batches, scoring, files and ONNX.

A model adds a config and how its network reads vectors. A person's history enters as one more
field: the mean of the vectors of its items, which share their table with the first field.

Letters: B rows, F category fields, M numbers, L history length, D width of a field.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from etalage.data.features import FeatureTable
from etalage.errors import DataError, NotFittedError
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.onnx import export_network
from etalage.models.ranker import Ranker
from etalage.models.weights import put_weights, weights_of
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_seed
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext
from etalage.train.loop import autocast, train
from etalage.train.objectives import self_ensemble

SCORED_AT_ONCE = 8192


class RankerConfig(ModelConfig):
    """Settings that every ranker with a network has."""

    width: int = Field(16, ge=1)
    """Numbers in the vector of a code."""
    vector_decay: float = Field(1e-4, ge=0)
    """Weight of the squared vectors of a batch's codes in the loss; keeps rare codes near 0."""
    objective: Literal["log_loss", "self_ensemble"] = "log_loss"
    """Log-loss, or two passes that learn from clicks together and are pulled to their mean; that
    takes twice the time and needs dropout."""
    training: TrainingConfig = TrainingConfig(
        epochs=10, batch_size=2048, learning_rate=2e-3, monitor="auc", patience=2
    )
    """The loop."""


@dataclass(frozen=True)
class Columns:
    """The form of a table: what a network is built for, and all that it may be asked about."""

    sizes: tuple[int, ...]
    """Codes of each category field, unknown included."""
    n_numbers: int
    history_length: int

    @classmethod
    def of(cls, table: FeatureTable) -> Columns:
        """The form of a given table."""
        return cls(tuple(table.sizes.values()), len(table.number_names), table.history_length)

    @property
    def n_fields(self) -> int:
        """F, and one more for a history."""
        return len(self.sizes) + (self.history_length > 0)


class RankingNetwork(nn.Module, ABC):
    """One table of vectors for all fields; code 0 of a field is unknown, and counts as zero.

    Subclasses implement `read`, and put what they end in into `out`, whose bias is a logit.
    """

    starts: Tensor  # (F,) row of each field's code 0
    out: nn.Linear

    def __init__(self, columns: Columns, width: int) -> None:
        super().__init__()
        starts = np.concatenate([[0], np.cumsum(columns.sizes)[:-1]])
        self.register_buffer("starts", torch.from_numpy(starts.astype(np.int64)), persistent=False)
        self.vectors = nn.Embedding(sum(columns.sizes), width)
        nn.init.normal_(self.vectors.weight, std=0.01)

    def look_up(self, categories: Tensor, history: Tensor | None) -> Tensor:
        """Vectors of the fields, float (B, (F or F + 1) D).

        categories int64 (B, F); history int64 (B, L).
        """
        # unknown is zero by a mask, not by its row: a row would drift with every step
        fields = self.vectors(categories + self.starts) * (categories > 0)[..., None]  # (B, F, D)
        flat = fields.flatten(1)
        if history is None:
            return flat
        known = (history >= 0)[..., None]  # (B, L, 1)
        past = self.vectors((history + 1).clamp(min=0)) * known  # (B, L, D)
        mean = past.sum(1) / known.sum(1).clamp(min=1)
        return torch.cat([flat, mean], 1)

    @abstractmethod
    def read(self, vectors: Tensor, numbers: Tensor) -> Tensor:
        """Logits, float (B,), from vectors (B, fields D) and numbers (B, M)."""

    def read_twice(self, vectors: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two passes that drop different things; what they share is computed once."""
        return self.read(vectors, numbers), self.read(vectors, numbers)

    def served(self) -> RankingNetwork:
        """The network that is exported, with the same answers; simpler where that is possible."""
        return self

    def forward(self, categories: Tensor, numbers: Tensor, history: Tensor | None = None) -> Tensor:
        """Logits, float (B,)."""
        return self.read(self.look_up(categories, history), numbers)


class _OnePerson(nn.Module):
    """A network that is asked about one person: no padding, and unknown is a row of zeros.

    Without masks half of the operations fall away, which cost a single request as much as the
    products do.
    """

    starts: Tensor

    def __init__(self, network: RankingNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("starts", network.starts)
        weights = network.vectors.weight.detach().clone()
        weights[network.starts] = 0
        self.vectors = nn.Embedding.from_pretrained(weights)

    def forward(self, categories: Tensor, numbers: Tensor, history: Tensor | None = None) -> Tensor:
        """Logits, float (B,), of categories (B, F), numbers (B, M) and codes of items (1, L)."""
        vectors = self.vectors(categories + self.starts).flatten(1)  # (B, F D)
        if history is not None:
            mean = self.vectors(history).mean(1)  # (1, D)
            vectors = torch.cat([vectors, mean.expand(vectors.shape[0], -1)], 1)
        return self.network.read(vectors, numbers)


class NetworkRanker(Ranker):
    """A ranker whose `network_type` is built for the columns of its table."""

    network_type: ClassVar[type[RankingNetwork]]
    config: RankerConfig
    columns: Columns | None = None
    network: RankingNetwork

    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        self.columns = Columns.of(table)
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

        return train(
            self.network,
            batches,
            self._loss,
            n_steps=len(starts),
            config=self.config.training,
            context=context,
            validate=context.judge_of(self),
        )

    def _loss(self, batch: FeatureTable) -> Tensor:
        categories, numbers, history = _tensors(batch)
        clicks = torch.from_numpy(batch.labels.astype(np.float32))
        with autocast(self.config.training):
            vectors = self.network.look_up(categories, history)
            if self.config.objective == "self_ensemble":
                one, two = self.network.read_twice(vectors, numbers)
                misses = self_ensemble(one.float(), two.float(), clicks)
            else:
                logits = self.network.read(vectors, numbers).float()
                misses = nn.functional.binary_cross_entropy_with_logits(logits, clicks)
        return misses + self.config.vector_decay * vectors.float().square().sum(1).mean()

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
        table had one, history int64 (1, any L), the codes of one person's known items, or one 0
        where there are none -> logit float32 (B,)."""
        columns = self._fitted()
        inputs: dict[str, Tensor] = {
            "categories": torch.ones(2, len(columns.sizes), dtype=torch.int64),
            "numbers": torch.zeros(2, columns.n_numbers),
        }
        if columns.history_length:
            inputs["history"] = torch.ones(1, 2, dtype=torch.int64)
        network, path = _OnePerson(self.network.served()), folder / "ranker.onnx"
        export_network(network, inputs, "logit", path, free_length="history")

    def save(self, folder: Path) -> None:
        columns = self._fitted()
        shape = np.array([columns.n_numbers, columns.history_length, *columns.sizes])
        save_arrays(folder, self, shape=shape, **weights_of(self.network))

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        n_numbers, history_length, *sizes = arrays.pop("shape").tolist()
        model.columns = Columns(tuple(sizes), n_numbers, history_length)
        model.network = model._initial(seed=0)
        put_weights(model.network, arrays, folder)
        return model

    def _initial(self, seed: int) -> RankingNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, self.config.kind))
            build: Any = self.network_type
            network: RankingNetwork = build(self._fitted(), self.config)
            return network.eval()

    def _fitted(self) -> Columns:
        if self.columns is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(table) first")
        return self.columns

    def _check_columns(self, table: FeatureTable) -> None:
        given, fitted = Columns.of(table), self._fitted()
        if given != fitted:
            raise DataError(
                f"the table has (code counts, numbers, history length) {_said(given)}; this "
                f"ranker was fitted on {_said(fitted)}"
            )


def _said(columns: Columns) -> tuple[tuple[int, ...], int, int]:
    return columns.sizes, columns.n_numbers, columns.history_length


def _tensors(table: FeatureTable) -> tuple[Tensor, Tensor, Tensor | None]:
    def whole(codes: NDArray[Any]) -> Tensor:
        return torch.from_numpy(codes.astype(np.int64))

    history = None if table.history is None else whole(table.history)
    return whole(table.categories), torch.from_numpy(np.asarray(table.numbers)), history
