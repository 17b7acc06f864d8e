"""How do gradients become a step? Adam, with the decay of tables and the clipping of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from etalage.train.config import TrainingConfig
from etalage.train.touched import TouchedAdam

TOUCHED = -1
"""Where the state of tables that move by touch stands among the weights, counted from 0."""


class Optimizer:
    """Adam in one pass over all weights (AdamW of torch, fused).

    Tables of vectors may have a decay of their own: λ / 2 ‖E‖² in the loss of every step, whose
    gradient λ E is added before the norm of all gradients is clipped, as published click models
    do it. It is added here because a loss would need the whole table in every graph. Of tables that
    move by touch, only the rows of the batch count in that norm.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainingConfig,
        tables: Iterable[Tensor] = (),
        table_decay: float = 0.0,
        touched: TouchedAdam | None = None,
    ) -> None:
        self.touched = touched
        apart = set() if touched is None else {id(table) for table in touched.tables}
        self.weights = [w for w in network.parameters() if id(w) not in apart]
        self.clip_norm = config.clip_norm
        self.tables, self.table_decay = [*tables], table_decay
        self.adam = torch.optim.AdamW(
            self.weights, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    def clear(self) -> None:
        """Forgets the gradients of the last step."""
        self.adam.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """Moves the weights along their gradients at a learning rate."""
        blocks = [] if self.touched is None else self.touched.blocks
        if self.table_decay:
            for table in blocks or self.tables:
                if table.grad is not None:
                    table.grad.add_(table.detach(), alpha=self.table_decay)
        if self.clip_norm is not None:
            gradients = [w.grad for w in [*self.weights, *blocks] if w.grad is not None]
            scale = (self.clip_norm / (nn.utils.get_total_norm(gradients) + 1e-6)).clamp(max=1)
            # asking an accelerator whether it must would cost more than a product that need not be
            if scale.device.type != "cpu" or scale < 1:
                torch._foreach_mul_(gradients, scale)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        if self.touched is not None:
            self.touched.step(rate)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        state = self.adam.state_dict()
        if self.touched is not None:
            state["state"][TOUCHED] = self.touched.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts it back."""
        if self.touched is not None:
            self.touched.load_state_dict(state["state"].pop(TOUCHED))
        self.adam.load_state_dict(state)
