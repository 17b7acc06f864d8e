"""What do recommenders that are one network with a table of items share? How they are kept."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.recommender import Recommender
from etalage.models.weights import put_weights, weights_of


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
