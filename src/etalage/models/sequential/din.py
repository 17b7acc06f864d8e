"""A history seen from every item: DIN over windows of a history, as in TDM.

Deep interest networks (Zhou et al., 2018, arXiv 1706.06978) weigh a history anew for each item;
over means of windows, short where it is recent (TDM, Zhu et al., 2018, arXiv 1801.02294), a whole
catalogue can be scored. Its item vectors are what EAGER and PRORec take for what people do.
Letters: B people, C candidates, T history length, W windows, D width, H width of the attention.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories
from etalage.layers.dropout import Dropout
from etalage.layers.mlp import MLP, Logit
from etalage.models.network_recommender import NetworkRecommender, learn
from etalage.models.sequential.batches import Prefixes
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_draws
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext

CANDIDATES_AT_ONCE = 4096
"""Items that are weighed together: W H numbers each."""


class WindowDINConfig(ModelConfig):
    """Settings of DIN over windows."""

    kind: Literal["window_din"] = "window_din"
    width: int = Field(64, ge=1)
    """Numbers in an item vector."""
    windows: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (5, 4, 2, 2, 1, 1, 1, 1, 1, 1), min_length=1
    )
    """Items of each window, oldest first; a window is the mean of its items."""
    attention_width: int = Field(36, ge=1)
    """Width inside what weighs a window."""
    hidden: tuple[int, ...] = (64,)
    """Widths of the layers after it."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of activations dropped in training."""
    n_negatives: int = Field(60, ge=1)
    """Items that each right one is told apart from."""
    training: TrainingConfig = TrainingConfig(epochs=20, batch_size=512, learning_rate=2e-3)
    """The loop."""


class WindowDINNetwork(nn.Module):
    """logit = mlp([u, q, u * q]), u = sum_w a(q, k_w) k_w over the windows k_w of a history.

    a = w2 prelu(w1 [q, k, q * k]); DIN's q - k is in the first two. As in the paper weights are
    not made to add up to 1, and what is no item is 0 and adds nothing.
    """

    def __init__(self, n_items: int, config: WindowDINConfig) -> None:
        super().__init__()
        self.windows = list(config.windows)
        self.items = nn.Embedding(n_items, config.width)
        nn.init.normal_(self.items.weight, std=config.width**-0.5)
        inner = config.attention_width
        self.of_candidate = nn.Linear(config.width, inner)
        self.of_window = nn.Linear(config.width, inner, bias=False)
        self.of_both = nn.Linear(config.width, inner, bias=False)
        self.bend = nn.PReLU()
        self.weigh = nn.Linear(inner, 1)
        self.deep = MLP(3 * config.width, config.hidden, config.dropout, activation=nn.PReLU)
        self.out = Logit(self.deep.n_out)
        self.drop = Dropout(config.dropout)

    def read(self, history: Tensor) -> Tensor:
        """history int64 (B, T), left-padded with -1 -> windows (B, W, D), oldest first."""
        room = sum(self.windows)
        newest = nn.functional.pad(history, (max(room - history.shape[1], 0), 0), value=-1)
        newest = newest[:, -room:]
        known = (newest >= 0)[..., None]
        vectors = self.drop(self.items(newest.clamp(min=0))) * known
        sums = [part.sum(1) for part in vectors.split(self.windows, 1)]
        counts = [part.sum(1) for part in known.split(self.windows, 1)]
        return torch.stack(sums, 1) / torch.stack(counts, 1).clamp(min=1)

    def forward(self, windows: Tensor, candidates: Tensor) -> Tensor:
        """windows (B, W, D) and candidates int64 (B, C) -> logits float (B, C)."""
        query = self.drop(self.items(candidates))  # (B, C, D)
        # w (q * k) = q (w * k): one product for all windows, with nothing of (B, C, W, D)
        turned = (self.of_both.weight * windows[:, :, None]).flatten(1, 2)  # (B, W H, D)
        both = (query @ turned.transpose(1, 2)).unflatten(2, (windows.shape[1], -1))
        inner = both + self.of_candidate(query)[:, :, None] + self.of_window(windows)[:, None]
        weights = self.weigh(self.bend(inner)).squeeze(3)  # (B, C, W)
        interest = weights @ windows  # (B, C, D)
        columns = torch.cat([interest, query, interest * query], 2).flatten(0, 1)
        logits: Tensor = self.out(self.deep(columns))
        return logits.view(candidates.shape)


class WindowDIN(NetworkRecommender):
    """The candidate that a history is most interested in; told apart from drawn items."""

    config_type = WindowDINConfig
    config: WindowDINConfig
    network: WindowDINNetwork

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.history_length = sum(self.config.windows)

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        self.n_items = data.n_items
        self.network = self._initial(context.seed)
        log, settings = data.interactions, self.config.training
        rows = Prefixes(log.items, log.offsets, self.history_length, settings.batch_size)

        def loss(batch: Tensor) -> Tensor:
            return self._loss(batch[:, :-1], batch[:, -1])

        return learn(self, self.network, rows, loss, settings, context)

    def _loss(self, before: Tensor, targets: Tensor) -> Tensor:
        drawn = torch.randint(self.n_items, (len(targets), self.config.n_negatives))
        candidates = torch.cat([targets[:, None], drawn], 1)  # (B, 1 + negatives)
        logits = self.network(self.network.read(before), candidates).float()
        again = nn.functional.pad(drawn == targets[:, None], (1, 0))
        logits = logits.masked_fill(again, -torch.inf)  # no item is told apart from itself
        return nn.functional.cross_entropy(logits, torch.zeros_like(targets))

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Scores of all items, float32 (B, N); without a history, what people begin with."""
        self.check_histories(histories)
        scores = np.empty((len(histories), self.n_items), dtype=np.float32)
        everything = torch.arange(self.n_items).split(CANDIDATES_AT_ONCE)
        newest = torch.from_numpy(histories.newest(self.history_length).items.astype(np.int64))
        with torch.inference_mode():
            for row, history in enumerate(newest):
                windows = self.network.read(history[None])
                for items in everything:
                    scores[row, items[0] : items[-1] + 1] = self.network(windows, items[None])
        return scores

    def _initial(self, seed: int) -> WindowDINNetwork:
        with torch_draws(seed, "window_din"):
            return WindowDINNetwork(self.n_items, self.config).eval()
