"""What does fitting need besides data? Seed, place, clock and a judge, handed to every model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrainContext:
    """The surroundings of one fit. A model never reads a clock, a path or a device by itself."""

    seed: int = 0
    folder: Path | None = None
    """Where checkpoints and the log go; None keeps nothing on disk."""
    monitor: Callable[[Any], dict[str, float]] | None = None
    """Judges a half-trained model on validation data, for early stopping; higher is better."""
    threads: int | None = None
    """CPU threads for training; None uses all cores."""
    max_seconds: float | None = None
    """Stop after this long and keep the best so far."""
    resume: bool = True
    """Continue from a checkpoint in `folder` when there is one."""
    progress: bool = False
    """Show a progress bar on a terminal."""

    def judge_of(self, model: Any) -> Callable[[], dict[str, float]] | None:
        """Returns what measures `model` as it stands; None without a monitor."""
        return None if self.monitor is None else partial(self.monitor, model)


@dataclass(frozen=True)
class FitReport:
    """What a fit cost and reached."""

    n_parameters: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    epochs: int = 0
    best_epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    """Validation metrics of the state that was kept."""
    history: tuple[dict[str, float], ...] = ()
    """One row an epoch: epoch, loss, rows_per_cpu_second and the validation metrics."""
