"""Do several rankers know more than one? The mean of their logits, each from a seed of its own.

What differs between runs of one ranker is mostly noise, which a mean takes out: for a log-loss that
no tuning of a single ranker reaches, at the price of as many networks.

Letters: B rows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn

from etalage.data.features import FeatureTable
from etalage.errors import RecipeError
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.ranker import Ranker
from etalage.models.ranking.network_ranker import NetworkRanker, export_ranker
from etalage.models.ranking.served import OnePerson
from etalage.recipe.config import ModelConfig
from etalage.seeds import torch_seed
from etalage.train.context import Clock, FitReport, TrainContext


class EnsembleConfig(ModelConfig):
    """Settings of an ensemble."""

    kind: Literal["ensemble"] = "ensemble"
    members: tuple[dict[str, Any], ...] = Field(
        ({"kind": "qnn"}, {"kind": "qnn"}), min_length=2, max_length=16
    )
    """Settings of the rankers; the same ones twice differ by their seeds."""

    @field_validator("members", mode="after")
    @classmethod
    def _plain(cls, members: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        return tuple(json.loads(json.dumps(member)) for member in members)  # as a file has them


class Ensemble(Ranker):
    """logit = mean of the members' logits. Members are rankers with a network."""

    config_type = EnsembleConfig
    config: EnsembleConfig
    members: list[NetworkRanker]

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        from etalage.models.registry import build

        self.members = [
            build(dict(settings), "ranker", f"ensemble.members.{n}")
            for n, settings in enumerate(self.config.members)
        ]
        for member in self.members:
            if not isinstance(member, NetworkRanker):
                kind = member.config.kind
                raise RecipeError(f"members of an ensemble are rankers with a network, not {kind}")

    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        reports = []
        for n, member in enumerate(self.members):
            folder = None if context.folder is None else context.folder / f"member-{n}"
            seed = torch_seed(context.seed, f"member {n}") % 2**31
            clock = Clock()
            report = member.fit(table, replace(context, folder=folder, seed=seed))
            if context.clock is not None:  # what a resumed member took in earlier sessions
                context.clock.add(
                    report.seconds - clock.seconds, report.cpu_seconds - clock.cpu_seconds
                )
            reports.append(report)
        judge = context.judge_of(self)
        return FitReport(
            n_parameters=sum(report.n_parameters for report in reports),
            epochs=sum(report.epochs for report in reports),
            best_epoch=max(report.best_epoch for report in reports),
            metrics={} if judge is None else judge(),
            history=tuple(row for report in reports for row in report.history),
        )

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        total = self.members[0].score(table).copy()
        for member in self.members[1:]:
            total += member.score(table)
        return total / np.float32(len(self.members))

    def export(self, folder: Path) -> None:
        """Writes one `ranker.onnx` of all networks, with the inputs of a single ranker's."""
        networks = [OnePerson(member.fitted_network().served()) for member in self.members]
        export_ranker(_Mean(networks), self.members[0].columns, folder)

    def save(self, folder: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        for n, member in enumerate(self.members):
            arrays |= {f"{n}.{name}": array for name, array in member.arrays().items()}
        save_arrays(folder, self, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        for n, member in enumerate(model.members):
            mine = {k.removeprefix(f"{n}."): v for k, v in arrays.items() if k.startswith(f"{n}.")}
            member.put(mine, folder)
        return model


class _Mean(nn.Module):
    def __init__(self, networks: list[OnePerson]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(
        self,
        categories: Tensor,
        numbers: Tensor,
        history: Tensor | None = None,
        bags: Tensor | None = None,
    ) -> Tensor:
        logits = [network(categories, numbers, history, bags) for network in self.networks]
        return torch.stack(logits).mean(0)
