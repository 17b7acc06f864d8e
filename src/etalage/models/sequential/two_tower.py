"""A tower for people, a tower for items, and between them whatever a graph knows.

u = h + mlp([h ; g_u]) meets v_i = e_i + mlp([e_i ; g_i]), h what a backbone reads of the items v of
a history: their mean (DSSM, YouTube; Covington et al., 2016), a GRU (GRU4Rec; Hidasi et al., 2016,
1511.06939), attention (SASRec), or several interests (MIND; Li et al., 2019, 1904.08030), of which
the nearest counts. g are vectors of a graph model, fitted first, as one more field: AutoGraph's way
into any backbone (Shan et al., KDD 2025, arXiv 2412.18241). g_u is folded in from the history, so
that no one is read by a number of theirs.
Letters: B people, L history length, D width, G width of the graph's vectors, N items, P positions
with a next item, K interests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.layers.attention import check_heads
from etalage.layers.dropout import Dropout
from etalage.models.graph.autograph import AutoGraphConfig
from etalage.models.graph.lightgcn import LightGCNConfig
from etalage.models.graph.mf import MFConfig
from etalage.models.network_recommender import NetworkRecommender, learn
from etalage.models.recommender import fit_first
from etalage.models.registry import build
from etalage.models.sequential.backbones import BACKBONES
from etalage.models.sequential.batches import Prefixes, Sequences, newest_tensor
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_draws
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext
from etalage.train.objectives import full_cross_entropy

if TYPE_CHECKING:
    from etalage.models.graph.embedding import EmbeddingRecommender

GraphConfig = Annotated[
    AutoGraphConfig | LightGCNConfig | MFConfig | None, Field(discriminator="kind")
]


class TwoTowerConfig(ModelConfig):
    """Settings of two towers."""

    kind: Literal["two_tower"] = "two_tower"
    backbone: Literal["mean", "gru", "attention", "mind"] = "mean"
    """What reads a history: DSSM's mean, GRU4Rec's, SASRec's, or MIND's."""
    graph: GraphConfig = None
    """A graph model whose vectors are one more field of both towers; None goes without."""
    width: int = Field(64, ge=4)
    """Numbers in a vector."""
    n_layers: int = Field(2, ge=1)
    """Layers of a GRU, blocks of attention."""
    n_heads: int = Field(2, ge=1)
    """Attention heads of a block; must divide the width."""
    n_interests: int = Field(3, ge=1)
    """Interests that MIND tells apart."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of activations dropped in training."""
    max_length: int = Field(50, ge=1)
    """Newest history items that are read."""
    training: TrainingConfig = TrainingConfig(epochs=60, batch_size=128)
    """The loop."""

    @model_validator(mode="after")
    def _check_heads(self) -> TwoTowerConfig:
        return check_heads(self) if self.backbone == "attention" else self


class TwoTowerNetwork(nn.Module):
    """Both towers; what a graph knows lies in buffers, which are kept with the weights."""

    of_items: Tensor
    of_people: Tensor

    def __init__(self, n_items: int, config: TwoTowerConfig) -> None:
        super().__init__()
        width, known = config.width, 0 if config.graph is None else config.graph.width
        self.items = nn.Embedding(n_items, width)
        nn.init.normal_(self.items.weight, std=0.02)
        self.register_buffer("of_items", torch.zeros(n_items, known))  # g_i
        self.register_buffer("of_people", torch.zeros(n_items, known))  # what it adds to g_u
        self.backbone = BACKBONES[config.backbone](config)
        self.person, self.item = (
            nn.Sequential(nn.Linear(width + known, width), nn.ReLU(), nn.Linear(width, width))
            for _ in range(2)
        )
        self.drop = Dropout(config.dropout)

    def vectors(self) -> Tensor:
        """v of all items, (N, D)."""
        own = self.items.weight
        vectors: Tensor = own + self.item(torch.cat([own, self.of_items], 1))
        return vectors

    def read(self, history: Tensor, vectors: Tensor) -> Tensor:
        """history int64 (B, L), left-padded with -1 -> u at every position, (B, L, K, D), or at the
        newest alone, (B, 1, K, D)."""
        known = history >= 0
        index, there = history.clamp(min=0), known[..., None]
        states = self.backbone(self.drop(vectors[index]) * there, known)
        folded = (self.of_people[index] * there).cumsum(1) / there.cumsum(1).clamp(min=1).sqrt()
        folded = folded[:, -states.shape[1] :, None].expand(-1, -1, states.shape[2], -1)
        people: Tensor = states + self.person(torch.cat([self.drop(states), folded], 3))
        return people


class TwoTower(NetworkRecommender):
    """score(i) = u · v_i, of several u the largest."""

    config_type = TwoTowerConfig
    config: TwoTowerConfig
    network: TwoTowerNetwork

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.history_length = self.config.max_length

    def plan(self, data: Dataset) -> str:
        return "" if self.config.graph is None else str(build(self.config.graph).plan(data))

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        self.n_items = data.n_items
        self.network = self._initial(context.seed)
        self._ask_graph(data, context)
        log, settings = data.interactions, self.config.training
        # several interests are found anew for each position, so that each is a row
        rows_of = Prefixes if self.network.backbone.newest_only else Sequences
        rows = rows_of(log.items, log.offsets, self.config.max_length, settings.batch_size)

        def loss(history: Tensor) -> Tensor:
            if history.shape[1] < 2:  # first items alone: there is nothing to read, or to ask
                history = nn.functional.pad(history, (1, 0), value=-1)
            before, after = history[:, :-1], history[:, 1:]
            vectors = self.network.vectors()
            people = self.network.read(before, vectors)
            places = slice(-people.shape[1], None)
            asked = ((before >= 0) & (after >= 0))[:, places]
            return self._loss((people[asked], vectors), after[:, places][asked])

        return learn(self, self.network, rows, loss, settings, context)

    def _loss(self, before: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:  # type: ignore[override]
        """Cross-entropy over the catalogue, of the interest that is nearest to what came.

        `before` are u (P, K, D) and v of all items (N, D).
        """
        people, vectors = before
        likeness = (people * vectors[targets][:, None]).sum(2)  # (P, K)
        nearest = people[torch.arange(len(targets)), likeness.argmax(1)]
        return full_cross_entropy(nearest, vectors, targets)

    def _ask_graph(self, data: Dataset, context: TrainContext) -> None:
        """Fits the graph and takes its vectors."""
        if self.config.graph is None:
            return
        graph: EmbeddingRecommender = build(self.config.graph)
        fit_first(graph, data, context, "graph")
        self.network.of_items = torch.from_numpy(graph.items)
        self.network.of_people = torch.from_numpy(graph.folding)

    def item_vectors(self) -> NDArray[np.float32]:
        """v of all items, float32 (N, D)."""
        self.check_fitted()
        with torch.inference_mode():
            return self.network.vectors().numpy()

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Scores of all items, float32 (B, N); NaN without a history, as no loss asks for that."""
        self.check_histories(histories)
        scores = np.full((len(histories), self.n_items), np.nan, dtype=np.float32)
        known = np.flatnonzero(histories.lengths)
        if len(known):
            history = newest_tensor(histories.take(known), self.config.max_length)
            vectors = self.item_vectors()
            with torch.inference_mode():
                people = self.network.read(history, torch.from_numpy(vectors))[:, -1]
            of_interest = people.float().numpy() @ vectors.T  # (B, K, N)
            scores[known] = of_interest.max(1)
        return scores

    def _initial(self, seed: int) -> TwoTowerNetwork:
        with torch_draws(seed, "two_tower"):
            return TwoTowerNetwork(self.n_items, self.config).eval()
