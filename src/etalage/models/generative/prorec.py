"""One code for what people do and what texts say: PRORec (arXiv 2502.06269), later UNGER.

Stage I trains a recommender whose item vectors are aligned with the texts, and both are put side by
side, each of length 1, so that neither dominates the codes: e_i = [E_C / |E_C| ; E_T / |E_T|].
Stage II trains a generator on codes of e; what a state knows of the item it has written is
distilled from e_i itself, which has what quantisation lost: L = L_gen + beta InfoNCE(head(h), e_i).
Letters: B people, N items, D width of the generator, E width of e, P positions, K beams.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories, ItemSets, TopK
from etalage.errors import RecipeError
from etalage.language.projection import unit_rows
from etalage.models.generative.alignment import Aligned, aligned
from etalage.models.generative.domination import block_reports
from etalage.models.generative.tiger import TIGER, TIGERConfig
from etalage.models.network_recommender import NetworkRecommender
from etalage.models.recommender import fit_first
from etalage.models.registry import build
from etalage.models.sequential.din import WindowDINConfig
from etalage.models.sequential.sasrec import SASRecConfig
from etalage.models.weights import weights_of
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_draws
from etalage.tokenize.tokenizer import Tokenizer
from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext
from etalage.train.objectives import info_nce

STAGE_ONE = "stage_one."
"""Begins the names of arrays of the recommender of stage I in a saved model."""
PEOPLE_AT_ONCE = 256
"""People whose scores of all items are held at once."""


class PRORecConfig(TIGERConfig):
    """Settings of both stages; those of the generator are TIGER's."""

    kind: Literal["prorec"] = "prorec"  # type: ignore[assignment]
    collaborative: SASRecConfig | WindowDINConfig = Field(
        SASRecConfig(training=TrainingConfig(epochs=60, batch_size=128)),
        discriminator="kind",
    )
    """Stage I: the recommender whose item vectors are aligned with the texts; `kind` is sasrec, or
    window_din for the paper's DIN."""
    alignment: float = Field(0.5, ge=0)
    """alpha: weight of the alignment in stage I; 0 trains the recommender alone."""
    alignment_temperature: float = Field(0.07, gt=0)
    """Temperature of the alignment."""
    codes_of: Literal["both", "concatenated", "collaborative", "semantic"] = "both"
    """What is quantised: both blocks side by side, each of length 1; both as they are; the item
    vectors of stage I alone, which texts have been pulled into (version 1 of the paper); or what
    texts say after that, alone. TIGER is on the texts as they were."""
    distillation: float = Field(0.1, ge=0)
    """beta: weight of the distillation in stage II; 0 is TIGER on the same codes."""
    distillation_heads: Literal["joint", "per_block"] = "joint"
    """Whether a state is held against e as one, or against each block by a head of its own."""
    distilled: Literal["summary", "state"] = "summary"
    """What is held against e: what a state knows once it has written the item, or before."""
    distillation_temperature: float = Field(0.3, gt=0)
    """Temperature of the distillation."""
    n_negatives: int = Field(2048, ge=1)
    """Items drawn in a step that a state is told apart from, beside those of the batch."""
    rerank: float = Field(0.0, ge=0)
    """gamma: weight of the recommender of stage I in the order of what the beams found; only with
    0, which leaves it out, can the model be served."""


class Distillation(nn.Module):
    """What a state says of the item that it has written, held against what the item is."""

    targets: Tensor

    def __init__(self, width: int, blocks: list[NDArray[np.float32]]) -> None:
        super().__init__()
        self.widths = [block.shape[1] for block in blocks]
        self.register_buffer("targets", torch.from_numpy(np.concatenate(blocks, 1)))  # (N, E)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, block))
            for block in self.widths
        )

    def forward(
        self, states: Tensor, items: Tensor, n_negatives: int, temperature: float
    ) -> Tensor:
        """Mean over the blocks of InfoNCE of states (P, D) of items int64 (P,), told apart from
        those of the batch and drawn ones."""
        n_items = len(self.targets)
        drawn = torch.randint(n_items, (min(n_negatives, n_items),))
        # an item stands once among the targets, so that no state is told apart from its own
        there, places = torch.cat([items, drawn]).unique(return_inverse=True)
        right = places[: len(items)]
        blocks = self.targets[there].split(self.widths, 1)
        losses = [
            info_nce(head(states), block, right, temperature)
            for head, block in zip(self.heads, blocks, strict=True)
        ]
        return torch.stack(losses).mean()


class PRORec(TIGER):
    """TIGER whose codes are of both kinds of knowledge, and whose states are taught by both."""

    config_type = PRORecConfig
    config: PRORecConfig
    recommender: NetworkRecommender
    """Stage I, where `rerank` asks it."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        if self.config.rerank:
            read = build(self.config.collaborative).history_length
            self.history_length = max(self.history_length, read)
        self.stage_one: FitReport | None = None
        """What stage I cost and reached; None in a loaded model."""
        self.domination: dict[str, dict[str, float]] = {}
        """What the codes keep of each block, by its name; empty in a loaded model."""
        self._blocks: dict[str, NDArray[np.float32]] = {}
        self._teacher: Distillation | None = None

    def _vectors(self, data: Dataset, context: TrainContext) -> NDArray[np.float32]:
        config = self.config
        texts = super()._vectors(data, context)
        stage = aligned(config.collaborative, texts, config.alignment, config.alignment_temperature)
        self.stage_one = fit_first(stage, data, context, "stage_one")
        if config.rerank:
            self.recommender = as_recommender(stage)
        taken, said = stage.blocks()
        # without an alignment nothing taught the projection of the texts
        self._blocks = blocks_of(config.codes_of, taken, said if config.alignment else texts)
        return np.hstack(list(self._blocks.values()))

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        report = super()._fit(data, context)
        self._blocks, self._teacher = {}, None  # as large as the catalogue; no answer needs them
        return report

    def _spelled(self, data: Dataset, vectors: NDArray[np.float32], seed: int) -> Tokenizer:
        tokenizer = super()._spelled(data, vectors, seed)
        codes = tokenizer.ids.codes
        said = tokenizer.quantizer.decode(codes)
        self.domination = block_reports(codes, self._blocks, said)
        return tokenizer

    def _learners(self, seed: int) -> nn.Module:
        self._teacher = None
        if not self.config.distillation:
            return self.network
        blocks = list(self._blocks.values())
        blocks = blocks if self.config.distillation_heads == "per_block" else [np.hstack(blocks)]
        with torch_draws(seed, "distillation"):
            self._teacher = Distillation(self.config.width, blocks)
        return nn.ModuleList([self.network, self._teacher])

    def _loss(self, history: Tensor) -> Tensor:
        config, spelled = self.config, self.network.spell(history)
        if self._teacher is None:
            return spelled.surprise
        states = spelled.summaries if config.distilled == "summary" else spelled.states
        temperature = config.distillation_temperature
        pull = self._teacher(states, spelled.items, config.n_negatives, temperature)
        return spelled.surprise + config.distillation * pull

    def recommend(
        self,
        histories: Histories,
        k: int,
        *,
        exclude: ItemSets | None = None,
        among: NDArray[np.int32] | None = None,
    ) -> TopK:
        """As TIGER; with `rerank` in the order of log p(i) + gamma log p_I(i), p_I of stage I."""
        if not self.config.rerank:
            return super().recommend(histories, k, exclude=exclude, among=among)
        n_found = max(k, self.config.n_beams)
        top = super().recommend(histories, n_found, exclude=exclude, among=among)
        for start in range(0, len(top), PEOPLE_AT_ONCE):
            rows = np.arange(start, min(start + PEOPLE_AT_ONCE, len(top)))
            # without a history it says nothing, which is all items alike
            told = np.nan_to_num(self.recommender.score(histories.take(rows)))  # (B, N)
            told -= np.logaddexp.reduce(told.astype(np.float64), axis=1)[:, None].astype(np.float32)
            found = np.take_along_axis(told, np.maximum(top.items[rows], 0).astype(np.int64), 1)
            top.scores[rows] += self.config.rerank * found
        order = np.lexsort((top.items, -top.scores), axis=1)[:, :k]
        return TopK(
            np.take_along_axis(top.items, order, 1), np.take_along_axis(top.scores, order, 1)
        )

    def export(self, folder: Path) -> None:
        self.check_servable()
        super().export(folder)

    def check_servable(self) -> None:
        super().check_servable()
        if self.config.rerank:
            raise RecipeError(
                "prorec with rerank cannot be served: the server has no second recommender; "
                "set rerank: 0"
            )

    def _arrays(self) -> dict[str, NDArray[Any]]:
        if not self.config.rerank:
            return super()._arrays()
        weights = weights_of(self.recommender.network)
        return super()._arrays() | {f"{STAGE_ONE}{name}": w for name, w in weights.items()}

    def _restore(self, arrays: dict[str, NDArray[Any]], folder: Path) -> None:
        names = [name for name in arrays if name.startswith(STAGE_ONE)]
        weights = {name.removeprefix(STAGE_ONE): arrays.pop(name) for name in names}
        super()._restore(arrays, folder)
        if self.config.rerank:
            self.recommender = build(self.config.collaborative)
            self.recommender.restore(weights, folder)


def as_recommender(stage: Aligned) -> NetworkRecommender:
    """What stage I learnt, without the texts that it learnt from."""
    model: NetworkRecommender = build(stage.config)
    weights = weights_of(stage.network)
    alone = {name: w for name, w in weights.items() if not name.startswith("projection.")}
    model.restore(alone, Path())
    return model


def blocks_of(
    codes_of: str, taken: NDArray[np.float32], said: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """The blocks that e is made of, by name."""
    match codes_of:
        case "both":
            return {"collaborative": unit_rows(taken), "semantic": unit_rows(said)}
        case "collaborative":
            return {"collaborative": unit_rows(taken)}
        case "semantic":
            return {"semantic": unit_rows(said)}
    return {"collaborative": taken, "semantic": said}
