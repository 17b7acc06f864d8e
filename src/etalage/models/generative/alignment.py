"""What people did and what a text says, brought into one space: stage I of PRORec.

A recommender learns from sequences while its item vectors are pulled to what their texts say, and
what texts say is read anew to suit (arXiv 2502.06269, cross-modality knowledge alignment).
Letters: N items, D width, F width of the text vectors, P positions, M distinct items of a batch.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.models.sequential.sasrec import SASRec, SASRecConfig, SASRecNetwork
from etalage.seeds import torch_seed
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


class AlignedSASRec(SASRec):
    """L = L_next + alpha * (InfoNCE(E_C, E_T) + InfoNCE(E_T, E_C)) / 2, over a batch's items."""

    def __init__(
        self, config: SASRecConfig, texts: NDArray[np.float32], weight: float, temperature: float
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
        return super()._fit(data, replace(context, settings={**context.settings, **made_of}))

    def _initial(self, seed: int) -> SASRecNetwork:
        network = super()._initial(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, "alignment"))
            self.projection = Projection(self.texts.shape[1], self.config.width)
        network.add_module("projection", self.projection)
        return network

    def _loss(self, states: Tensor, targets: Tensor) -> Tensor:
        items = targets.unique()  # (M,)
        taken = self.network.items.weight[items]
        said = self.projection(self.texts[items])
        own = torch.arange(len(items))
        pull = info_nce(taken, said, own, self.temperature)
        pull = pull + info_nce(said, taken, own, self.temperature)
        return super()._loss(states, targets) + self.weight / 2 * pull

    def blocks(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """E_C and E_T of the whole catalogue, float32 (N, D) each."""
        with torch.inference_mode():
            said = self.projection(self.texts).float().numpy()
        return self.item_vectors(), said
