"""How long, how fast, how careful? Settings of the one training loop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from etalage.recipe.config import Config


class TrainingConfig(Config):
    """Settings of the loop; a model's own settings carry one of these as `training`."""

    epochs: int = Field(50, ge=1)
    """Passes over the training data at most."""
    batch_size: int = Field(256, ge=1)
    """Rows (people or impressions) in a step."""
    learning_rate: float = Field(1e-3, gt=0)
    """Step size of Adam."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the learning rate rises from 0."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Shape of the learning rate after the warm-up."""
    clip_norm: float | None = Field(None, gt=0)
    """Largest global gradient norm; None does not clip."""
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    """Number format of matrix products; auto takes bfloat16 where the processor has it."""
    compiled: bool = False
    """Compile the loss of a ranker: on an accelerator it pays after a minute, on a CPU hardly."""
    monitor: str | None = "ndcg@10"
    """Validation metric that decides which state is kept; higher is better. None keeps the last."""
    patience: int = Field(10, ge=1)
    """Validations without improvement before a cut, or before stopping."""
    cuts: int = Field(0, ge=0)
    """Times that the learning rate is cut to a tenth, and training goes on from the best state."""
    validate_every: int = Field(1, ge=1)
    """Epochs between validations."""
