"""How well does one ranker predict clicks? Fitted, calibrated and judged on a split table.

The ranker learns from the first part; the second says how long and calibrates; the third judges.
Every calibrator of the house is strictly monotone, so the AUC is that of the raw logits.

Letters: R rows of the test part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from etalage import __version__
from etalage.artefact import append_line, whole_lines
from etalage.calibrate import choose
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.measures import TINY, log_loss
from etalage.data.features import FeatureTable
from etalage.errors import BundleError, CapacityError, RecipeError
from etalage.evaluate.classification import auc, gauc
from etalage.evaluate.significance import auc_interval, interval
from etalage.models.ranker import check_labels
from etalage.models.registry import build
from etalage.pipeline.job import resumed
from etalage.pipeline.monitors import check_monitors, click_metrics
from etalage.recipe.config import ModelConfig
from etalage.seeds import generator
from etalage.train.context import FitReport, TrainContext

CHECKPOINT = "checkpoint.safetensors"


class ClickTables(Protocol):
    """A click log in three parts of the same columns."""

    @property
    def train(self) -> FeatureTable: ...
    @property
    def valid(self) -> FeatureTable: ...
    @property
    def test(self) -> FeatureTable: ...


@dataclass(frozen=True)
class ClickJob:
    """One ranker, one seed, one split table."""

    settings: ModelConfig
    seed: int
    data_hash: str
    """That of `hash_of(tables)`."""

    @classmethod
    def of(cls, ranker: dict[str, Any], seed: int, data_hash: str) -> ClickJob:
        """Reads the settings of a ranker; RecipeError where one is wrong, before any work."""
        model = build(ranker, "ranker")
        check_monitors({}, model)
        return cls(model.config, seed, data_hash)

    @property
    def key(self) -> dict[str, Any]:
        """What a result follows from; where all of it is equal, so is the result."""
        settings = json.dumps(self.settings.to_dict(), sort_keys=True)
        return {
            "kind": self.settings.kind,
            "settings_hash": sha256(settings.encode()).hexdigest()[:16],
            "data_hash": self.data_hash,
            "seed": self.seed,
            "version": __version__,
        }

    def run(
        self, tables: ClickTables, folder: Path, *, progress: bool = False, device: str = "cpu"
    ) -> dict[str, Any]:
        """Fits, calibrates and judges; a fit that was interrupted goes on from `folder`.

        Checkpoints stay until `forget` is told that the result is kept.

        Returns the key and, as JSON-ready values: `auc`, `log_loss` and `log_loss_calibrated` on
        the test part, each with its 95 % interval over rows ([low, high]), `gauc` where the table
        has groups, `valid` (the metrics by which the state was kept), `calibrator`, `seconds` and
        `cpu_seconds` of the fit, `rows_per_second` of training, `n_parameters`, `epochs`,
        `best_epoch` and `device` (cpu, or the name of the accelerator).

        Raises:
            DataError: for a part without both clicks and misses.
            EtalageError: where `device_name` does.
        """
        device_named = device_name(device)
        check_labels(tables.valid)
        check_labels(tables.test)
        ranker = build(self.settings, "ranker")
        context = TrainContext(
            seed=self.seed,
            folder=folder,
            monitor=lambda judged: click_metrics(judged, tables.valid),
            progress=progress,
            device=device,
        )
        fit, _ = resumed(lambda: ranker.fit(tables.train, context), context)
        rng = generator(self.seed, "calibrator")
        calibrator = choose(ranker.score(tables.valid), tables.valid.labels, rng)
        logits = ranker.score(tables.test)
        return {
            **self.key,
            **_judged(logits, calibrator.probability(logits), tables.test),
            "calibrator": calibrator.kind,
            "valid": fit.metrics or click_metrics(ranker, tables.valid),
            "seconds": fit.seconds,
            "cpu_seconds": fit.cpu_seconds,
            "rows_per_second": _rows_per_second(fit, len(tables.train)),
            "n_parameters": fit.n_parameters,
            "epochs": fit.epochs,
            "best_epoch": fit.best_epoch,
            "device": device_named,
        }


def forget(folder: Path) -> None:
    """Deletes the checkpoints of a fit whose result is kept: they are large, and of no more use."""
    for checkpoint in folder.rglob(CHECKPOINT):
        checkpoint.unlink()


def device_name(device: str) -> str:
    """Returns cpu, or the name of the accelerator.

    Raises:
        RecipeError: for a device other than cpu and cuda.
        CapacityError: for cuda where there is none.
    """
    if device == "cpu":
        return device
    if device != "cuda":
        raise RecipeError(f"there is no device {device!r}; use cpu or cuda")
    import torch

    if not torch.cuda.is_available():
        raise CapacityError("no CUDA device here; use --device cpu")
    return torch.cuda.get_device_name()


def hash_of(tables: ClickTables) -> str:
    """16 hex digits: the same three parts, the same hash."""
    parts = (tables.train, tables.valid, tables.test)
    return sha256("".join(part.hash for part in parts).encode()).hexdigest()[:16]


class Results:
    """Results in a file, one JSON line each, appended as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, result: dict[str, Any]) -> None:
        """Adds one; what a kill left of a line before it stays a line of its own."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_line(self.path, result)

    def all(self) -> list[dict[str, Any]]:
        """Every whole result; a line that a kill cut off is none."""
        found = []
        for n, row in whole_lines(self.path):
            if not isinstance(row, dict) or "settings_hash" not in row:
                raise BundleError(
                    f"line {n} of {self.path} is no result; give another folder with --out"
                )
            found.append(row)
        return found

    def of(self, job: ClickJob) -> dict[str, Any] | None:
        """The result of a job, if it is there."""
        key = job.key
        same = (row for row in self.all() if key.items() <= row.items())
        return next(same, None)


def _judged(
    logits: NDArray[np.float32], calibrated: NDArray[np.float64], test: FeatureTable
) -> dict[str, Any]:
    """Measures on the test part, with intervals over its rows."""
    measures: dict[str, Any] = {
        "auc": auc(logits, test.labels),
        "auc_interval": auc_interval(logits, test.labels),
    }
    for name, p in (("log_loss", sigmoid(logits)), ("log_loss_calibrated", calibrated)):
        right = np.where(test.labels == 1, p, 1 - p).clip(TINY, 1 - TINY)
        measures[name] = log_loss(p, test.labels)
        measures[f"{name}_interval"] = interval(-np.log(right), np.random.default_rng(0))
    if test.groups is not None:
        area, _ = gauc(logits, test.labels, test.groups)
        measures["gauc"] = None if np.isnan(area) else area
    # as JSON would give them back, so that a fresh result equals one that was read
    return {k: list(v) if isinstance(v, tuple) else v for k, v in measures.items()}


def _rows_per_second(fit: FitReport, n_rows: int) -> float:
    """Rows read in training a second, validations left out where epochs were timed."""
    seconds = sum(row["seconds"] for row in fit.history) or fit.seconds
    return n_rows * max(fit.epochs, 1) / max(seconds, 1e-9)
