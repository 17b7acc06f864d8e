"""What does fitting need besides data? Seed, place, clock and a judge, handed to every model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any


class Clock:
    """What a fit has cost so far, the sessions before an interruption included."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Wall seconds."""
        return time.perf_counter() - self._wall

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of this process, all threads together."""
        return time.process_time() - self._cpu

    def add(self, seconds: float, cpu_seconds: float) -> None:
        """Counts what earlier sessions took."""
        self._wall -= seconds
        self._cpu -= cpu_seconds


@dataclass(frozen=True)
class TrainContext:
    """The surroundings of one fit. A model never reads a clock, a path or a device by itself."""

    seed: int = 0
    folder: Path | None = None
    """Where checkpoints and the log go; None keeps nothing on disk."""
    monitor: Callable[[Any], dict[str, float]] | None = None
    """Judges a half-trained model on validation data, for early stopping; higher is better."""
    device: str = "cpu"
    """Where rankers train: cpu or cuda."""
    threads: int | None = None
    """CPU threads for training; None uses all cores."""
    resume: bool = True
    """Continue from a checkpoint in `folder` when there is one."""
    progress: bool = False
    """Show a progress bar on a terminal."""
    clock: Clock | None = None
    """Started by `fit` of a model, as are the facts below."""
    data_hash: str = ""
    """Hash of the training data; a checkpoint made of other data is refused."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All settings of the model; a checkpoint made with others is refused."""

    def signed(self, clock: Clock, data_hash: str, settings: Mapping[str, Any]) -> TrainContext:
        """Returns the same surroundings with what a fit of one model on one table adds."""
        return replace(self, clock=clock, data_hash=data_hash, settings=settings)

    @property
    def checkpoint(self) -> Path | None:
        """The file that a run goes on from, whether it is there yet or not."""
        return None if self.folder is None else self.folder / "checkpoint.safetensors"

    def judge_of(self, model: Any) -> Callable[[], dict[str, float]] | None:
        """Returns what measures `model` as it stands; None without a monitor."""
        return None if self.monitor is None else partial(self.monitor, model)


@dataclass(frozen=True)
class FitReport:
    """What a fit cost and reached."""

    n_parameters: int = 0
    seconds: float = 0.0
    """Wall seconds of the whole fit, those of earlier sessions of a resumed one included."""
    cpu_seconds: float = 0.0
    """CPU seconds, likewise."""
    epochs: int = 0
    best_epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    """Validation metrics of the state that was kept."""
    history: tuple[dict[str, float], ...] = ()
    """One row an epoch: epoch, loss, seconds, steps_per_cpu_second and the validation metrics."""

    def timed(self, clock: Clock) -> FitReport:
        """Returns the same report with the seconds of a clock."""
        return replace(self, seconds=clock.seconds, cpu_seconds=clock.cpu_seconds)
