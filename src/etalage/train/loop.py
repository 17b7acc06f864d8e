"""How does it learn? The one training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from etalage.train.config import TrainingConfig
from etalage.train.context import FitReport, TrainContext


def train(
    network: torch.nn.Module,
    batches: Callable[[np.random.Generator], Iterable[Any]],
    loss: Callable[[Any], torch.Tensor],
    *,
    n_steps: int,
    config: TrainingConfig,
    context: TrainContext,
    validate: Callable[[], dict[str, float]] | None = None,
) -> FitReport:
    """Runs epochs of `batches(rng)` and steps on `loss(batch)`; `n_steps` is steps an epoch."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    from etalage.seeds import generator

    torch.manual_seed(context.seed)
    for epoch in range(config.epochs):
        network.train()
        for batch in batches(generator(context.seed, "epoch", epoch)):
            optimizer.zero_grad()
            value = loss(batch)
            value.backward()
            optimizer.step()
    network.eval()
    return FitReport(n_parameters=sum(p.numel() for p in network.parameters()))
