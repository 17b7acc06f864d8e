"""What people did and what a text says, brought into one space: stage I of PRORec.

A recommender learns from sequences while its item vectors are pulled to what their texts say, and
what texts say is read anew to suit (arXiv 2502.06269, cross-modality knowledge alignment).
Letters: N items, D width, F width of the text vectors, P positions, M distinct items of a batch.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.models.network_recommender import NetworkRecommender
from etalage.models.sequential.din import WindowDIN, WindowDINConfig
from etalage.models.sequential.sasrec import SASRec, SASRecConfig
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_draws
from etalage.train.context import FitReport, TrainContext
from etalage.train.objectives import info_nce


class Projection(nn.Module):
    """u = W t + b;  E_T = scale(u) * LayerNorm(u) + shift(u), both linear in u (adaptive norm)."""

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(text_width, width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.scale = nn.Linear(width, width)
        self.shift = nn.Linear(width, width)
        for layer, start in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, start)

    def forward(self, texts: Tensor) -> Tensor:
        """texts float (M, F) -> float (M, D)."""
        u = self.project(texts)
        return self.scale(u) * self.norm(u) + self.shift(u)


class Aligned(NetworkRecommender):
    """A recommender whose loss has alpha * (InfoNCE(E_C, E_T) + InfoNCE(E_T, E_C)) / 2 added,
    over the items that a batch asks for."""

    network: Any

    def __init__(
        self, config: ModelConfig, texts: NDArray[np.float32], weight: float, temperature: float
    ) -> None:
        """`texts` float32 (N, F), a row an item; `weight` is alpha."""
        super().__init__(config)
        self.texts = torch.from_numpy(texts)
        self.weight, self.temperature = weight, temperature

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        made_of = {
            "alignment": self.weight,
            "alignment_temperature": self.temperature,
            "texts": sha256(self.texts.numpy().tobytes()).hexdigest()[:16],
        }  # a checkpoint made with others is refused
        signed = replace(context, settings={**context.settings, **made_of})
        return super()._fit(data, signed)  # type: ignore[safe-super]

    def _initial(self, seed: int) -> Any:
        network = super()._initial(seed)  # type: ignore[safe-super]
        with torch_draws(seed, "alignment"):
            self.projection = Projection(self.texts.shape[1], network.items.embedding_dim)
        network.add_module("projection", self.projection)
        return network

    def _loss(self, before: Tensor, targets: Tensor) -> Tensor:
        items = targets.unique()  # (M,)
        taken = self.network.items.weight[items]
        said = self.projection(self.texts[items])
        right = torch.arange(len(items))
        pull = info_nce(taken, said, right, self.temperature)
        pull = pull + info_nce(said, taken, right, self.temperature)
        own_loss = super()._loss(before, targets)  # type: ignore[safe-super]
        return own_loss + self.weight / 2 * pull

    def blocks(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """E_C and E_T of the whole catalogue, float32 (N, D) each."""
        with torch.inference_mode():
            said = self.projection(self.texts).float().numpy()
        return self.item_vectors(), said


class AlignedSASRec(Aligned, SASRec):
    """SASRec whose item vectors are pulled to what texts say."""


class AlignedDIN(Aligned, WindowDIN):
    """DIN whose item vectors are pulled to what texts say."""


def aligned(
    config: SASRecConfig | WindowDINConfig,
    texts: NDArray[np.float32],
    weight: float,
    temperature: float,
) -> Aligned:
    """The recommender of stage I that the settings name."""
    kind = AlignedSASRec if isinstance(config, SASRecConfig) else AlignedDIN
    return kind(config, texts, weight, temperature)
