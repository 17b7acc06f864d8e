"""What do all rankers with a network share besides it? Fitting, scoring, files and ONNX.

Letters: B rows, F category fields, M numbers, L history length, W places of bags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.data.features import FeatureTable
from etalage.errors import DataError, NotFittedError
from etalage.layers.threads import Part, in_team
from etalage.models.arrays import load_arrays, save_arrays
from etalage.models.onnx import export_network
from etalage.models.ranker import Ranker
from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, RankerConfig, RankingNetwork
from etalage.models.ranking.rows import Batch, Rows
from etalage.models.ranking.served import OnePerson
from etalage.models.weights import put_weights, weights_of
from etalage.seeds import torch_draws
from etalage.train.context import FitReport, TrainContext
from etalage.train.loop import autocast, rounds, train
from etalage.train.objectives import self_ensemble
from etalage.train.touched import TouchedAdam

FEWEST, MOST = 512, 8192
"""Rows that a core or an accelerator scores at once; fewer make a matrix product slower."""
CACHE = 2 << 20
"""Bytes of a core's cache: between the bounds, the widest thing that is made of the rows fits."""


class NetworkRanker(Ranker):
    """A ranker whose `network_type` is built for the columns of its table."""

    network_type: ClassVar[type[RankingNetwork]]
    config: RankerConfig
    columns: Columns | None = None
    network: RankingNetwork
    _rounds = False

    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        settings = self.config.training
        self.columns = Columns.of(table)
        self.network = self._initial(context.seed)
        rate = float(table.labels.mean())
        with torch.no_grad():
            self.network.out.bias.fill_(np.log(rate / (1 - rate)))  # the first step starts level
        self.network.to(context.device)
        rows = Rows(table, context.device)
        tables, decay = [*self.network.tables], self.config.table_decay
        if self.config.table_updates == "touched":
            self.network.touched = TouchedAdam(tables, decay)
        try:
            return train(
                self.network,
                lambda rng: rows.shuffled(settings.batch_size, rng),
                torch.compile(self._loss) if settings.compiled else self._loss,
                n_steps=-(-len(table) // settings.batch_size),
                config=settings,
                context=context,
                validate=self._judge(context),
                tables=tables,
                table_decay=decay,
                touched=self.network.touched,
            )
        finally:
            self.network.touched = None
            self.network.to("cpu")

    def _judge(self, context: TrainContext) -> Callable[[], dict[str, float]] | None:
        """Judges an epoch in the precision of its steps, which is faster than to score."""
        judge = context.judge_of(self)
        if judge is None:
            return None

        def judged() -> dict[str, float]:
            with self.as_judged(context.device):
                return judge()

        return judged

    @contextmanager
    def as_judged(self, device: str = "cpu") -> Iterator[None]:
        """Within it scores are in the precision of training's steps, as when an epoch is judged."""
        self._rounds = rounds(self.config.training, device)
        try:
            yield
        finally:
            self._rounds = False

    def _loss(self, batch: Batch) -> Tensor:
        assert batch.clicks is not None
        clicks = batch.clicks.float()
        with autocast(self.config.training, clicks.device.type):
            x = self.network.look_up(*batch[:-1])
            if self.config.objective == "self_ensemble":
                one, two = self.network.read_twice(x)
                misses = self_ensemble(one.float(), two.float(), clicks)
            else:
                misses = self._log_loss(x, clicks)
        if self.config.vector_decay:
            misses = misses + self.config.vector_decay * x.flat.float().square().sum(1).mean()
        return misses

    def _log_loss(self, x: Looked, clicks: Tensor) -> Tensor:
        """What one pass costs; more than log-loss where a paper asks for it."""
        logits = self.network.read(x).float()
        return nn.functional.binary_cross_entropy_with_logits(logits, clicks)

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        self._check_columns(table)
        network, size, run = self.network, MOST, _in_turn
        device = network.starts.device
        if device.type == "cpu":
            entries = CACHE // (2 if self._rounds else 4)
            size, run = min(max(entries // network.widest, FEWEST), MOST), in_team
        if len(table) > size:  # for less, a copy costs more than it spares
            network = network.scoring(rounded=self._rounds)
        rows, logits = Rows(table, device), torch.empty(len(table), device=device)

        def work(part: Part) -> None:
            with (
                torch.inference_mode(),
                torch.autocast(device.type, dtype=torch.bfloat16, enabled=self._rounds),
            ):
                logits[slice(*part)] = network(*rows.part(*part)[:-1])

        run(work, [(start, start + size) for start in range(0, len(table), size)])
        return logits.cpu().numpy()

    def export(self, folder: Path) -> None:
        """Writes `ranker.onnx` as `export_ranker` does."""
        export_ranker(OnePerson(self.fitted_network().served()), self.columns, folder)

    def save(self, folder: Path) -> None:
        save_arrays(folder, self, **self.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        model, arrays = load_arrays(folder, cls)
        model.put(arrays, folder)
        return model

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fitted state."""
        columns = self._fitted()
        shape = np.array([columns.n_numbers, columns.history_length, *columns.sizes])
        bags = np.array(columns.bags, dtype=np.int64).reshape(-1, 2)
        return {"shape": shape, "bags": bags, **weights_of(self.network)}

    def put(self, arrays: dict[str, NDArray[Any]], folder: Path) -> None:
        """Takes the state that `arrays` gave; BundleError names the folder where it is another."""
        n_numbers, history_length, *sizes = arrays.pop("shape").tolist()
        bags = tuple((size, length) for size, length in arrays.pop("bags").tolist())
        self.columns = Columns(tuple(sizes), n_numbers, history_length, bags)
        self.network = self._initial(seed=0)
        put_weights(self.network, arrays, folder)

    def fitted_network(self) -> RankingNetwork:
        """The network; NotFittedError before `fit`."""
        self._fitted()
        return self.network

    def _initial(self, seed: int) -> RankingNetwork:
        with torch_draws(seed, self.config.kind):
            build: Any = self.network_type
            network: RankingNetwork = build(self._fitted(), self.config)
            for module in network.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_normal_(module.weight)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
            return network.eval()

    def _fitted(self) -> Columns:
        if self.columns is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(table) first")
        return self.columns

    def _check_columns(self, table: FeatureTable) -> None:
        given, fitted = Columns.of(table), self._fitted()
        if given != fitted:
            raise DataError(
                f"the table has (code counts, numbers, history length, bags) {_said(given)}; this "
                f"ranker was fitted on {_said(fitted)}"
            )


def _in_turn(work: Callable[[Part], None], parts: list[Part]) -> None:
    for part in parts:
        work(part)


def export_ranker(network: nn.Module, columns: Columns | None, folder: Path) -> None:
    """Writes `ranker.onnx`: categories int64 (B, F), numbers float32 (B, M), and, where the table
    had them, history int64 (1, any L), the codes of one person's known items, or one 0 where there
    are none, and bags int64 (B, W) -> logit float32 (B,)."""
    assert columns is not None
    inputs: dict[str, Tensor | None] = {
        "categories": torch.ones(2, len(columns.sizes), dtype=torch.int64),
        "numbers": torch.zeros(2, columns.n_numbers),
    }
    if columns.history_length or columns.bags:
        history = torch.ones(1, 2, dtype=torch.int64)
        inputs["history"] = history if columns.history_length else None
    if columns.bags:
        places = sum(length for _, length in columns.bags)
        inputs["bags"] = torch.ones(2, places, dtype=torch.int64)
    export_network(network, inputs, "logit", folder / "ranker.onnx", free_length="history")


def _said(columns: Columns) -> tuple[object, ...]:
    return columns.sizes, columns.n_numbers, columns.history_length, columns.bags
