"""How do gradients become a step? Adam, with the decay of tables and the clipping of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from etalage.train.config import TrainingConfig


class Optimizer:
    """Adam in one pass over all weights (AdamW of torch, fused).

    Tables of vectors may have a decay of their own: λ / 2 ‖E‖² in the loss of every step, whose
    gradient λ E is added before the norm of all gradients is clipped, as published click models
    do it. It is added here because a loss would need the whole table in every graph.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainingConfig,
        tables: Iterable[Tensor] = (),
        table_decay: float = 0.0,
    ) -> None:
        self.weights = [*network.parameters()]
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
        if self.table_decay:
            for table in self.tables:
                if table.grad is not None:
                    table.grad.add_(table.detach(), alpha=self.table_decay)
        if self.clip_norm is not None:
            gradients = [w.grad for w in self.weights if w.grad is not None]
            scale = (self.clip_norm / (nn.utils.get_total_norm(gradients) + 1e-6)).clamp(max=1)
            # asking an accelerator whether it must would cost more than a product that need not be
            if scale.device.type != "cpu" or scale < 1:
                torch._foreach_mul_(gradients, scale)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts it back."""
        self.adam.load_state_dict(state)
