"""What do recommenders that read histories with a network share? How they learn and are kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.recommender import Recommender
from etalage.models.sequential.batches import Sequences
from etalage.models.weights import put_weights, weights_of
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext
from etalage.train.loop import autocast, train


def learn(
    model: Recommender,
    network: nn.Module,
    rows: Sequences,
    loss: Callable[[Tensor], Tensor],
    settings: TrainingConfig,
    context: TrainContext,
) -> FitReport:
    """Trains a network of a model on batches of histories, int64 (B, <= L + 1) each."""

    def rounded(history: Tensor) -> Tensor:
        with autocast(settings):
            return loss(history)

    return train(
        network,
        rows.batches,
        rounded,
        n_steps=rows.n_batches,
        config=settings,
        context=context,
        validate=context.judge_of(model),
    )


class NetworkRecommender(Recommender):
    """A recommender whose state is the weights of `network`, with `items.weight` (N, D) in it."""

    network: nn.Module

    @abstractmethod
    def _initial(self, seed: int) -> Any:
        """The network of `self.n_items` items before any step."""

    @abstractmethod
    def _loss(self, before: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of targets int64 (P,), given what the model makes of what came before them."""

    def item_vectors(self) -> NDArray[np.float32]:
        """Vectors of all items, float32 (N, D)."""
        self.check_fitted()
        vectors: NDArray[np.float32] = self.network.get_parameter("items.weight").detach().numpy()
        return vectors

    def save(self, folder: Path) -> None:
        self.check_fitted()
        save_arrays(folder, self, **weights_of(self.network))

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model.restore(arrays, folder)
        return model

    def restore(self, weights: dict[str, NDArray[Any]], folder: Path) -> None:
        """Puts back the weights of a fitted network; `folder` is named where they do not fit."""
        self.n_items = len(weights["items.weight"])
        self.network = self._initial(seed=0)
        put_weights(self.network, weights, folder)
