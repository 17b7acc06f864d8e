"""How does a toy learn to draw? The usual way, with captions that say the wrong thing in part.

A model that learns shapes well binds them well, and then nothing is left to mend. So a known share
of captions gives each part the attribute of the other: what is learnt from them is a model that
puts things where they belong and is often wrong about how they look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler
from torch import Tensor
from torch.nn.functional import mse_loss, scaled_dot_product_attention

from etalage.creative.attention import Watch
from etalage.creative.shapes.pictures import TASKS, all_pairs, prompt_of, sample
from etalage.creative.shapes.toy import N_TOKENS, SCHEDULE, Size, Toy, to_tensor, tokenizer
from etalage.seeds import generator, torch_draws, torch_seed
from etalage.train import checkpoint
from etalage.train.config import TrainingConfig
from etalage.train.loop import autocast, schedule
from etalage.train.optimizer import Optimizer

EVERY = 250
"""Steps between two states that a run can go on from."""


@dataclass(frozen=True)
class Recipe:
    """Everything a toy follows from."""

    n_steps: int = 20_000
    exchanged: float = 0.35
    """Share of captions that give each part the attribute of the other."""
    silent: float = 0.1
    """Share of pictures without a caption, for guidance without a classifier."""
    average: float = 0.999
    """Decay of the running mean of the weights, which is what is kept."""
    seed: int = 1
    size: Size = field(default_factory=Size)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            batch_size=64, learning_rate=1e-3, warmup_steps=500, clip_norm=1.0, monitor=None
        )
    )


class Pictures:
    """Batches of pictures with their captions as tokens; the batch of a step is always the same."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        captions = ["", *(prompt_of(pairs) for task in TASKS for pairs in all_pairs(task))]
        coded = tokenizer()(captions, padding="max_length", max_length=N_TOKENS)
        self.rows = {caption: row for row, caption in enumerate(captions)}
        self.tokens = torch.tensor(coded["input_ids"])
        self.told = torch.tensor(coded["attention_mask"])

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns pictures (B, 3, SIDE, SIDE), tokens (B, N_TOKENS) and which of them are told."""
        rng = generator(self.recipe.seed, "pictures", step)
        n = self.recipe.training.batch_size
        drawn = list(islice(sample(rng, self.recipe.exchanged), n))
        silent = rng.random(n) < self.recipe.silent
        said = np.array([self.rows[picture.caption] for picture in drawn])
        rows = torch.from_numpy(np.where(silent, self.rows[""], said))
        return to_tensor([p.pixels for p in drawn]), self.tokens[rows], self.told[rows]


def train(
    recipe: Recipe,
    folder: Path,
    device: str = "cpu",
    told: Callable[[int, float, float], None] = lambda step, loss, seconds: None,
) -> Toy:
    """Trains a toy, or goes on where a run with the same recipe stopped.

    Args:
        recipe: what it is made of; another number of steps alone goes on as well.
        folder: where its state is kept, every `EVERY` steps.
        device: where torch computes.
        told: is called with (steps done, mean loss since the last call, seconds of CPU so far).

    Returns:
        The toy with the running mean of its weights.

    Raises:
        BundleError: when the folder holds the state of another recipe.
    """
    with torch_draws(recipe.seed, "toy"):
        toy = Toy(recipe.size)
    toy.to(device).train()
    mean = {name: weight.detach().clone() for name, weight in toy.state_dict().items()}
    optimizer = Optimizer(toy, recipe.training)
    pace = recipe.training.model_copy(update={"epochs": 1})  # the whole run is one
    made_of = asdict(recipe) | {"training": recipe.training.to_dict()}
    del made_of["n_steps"]
    folder.mkdir(parents=True, exist_ok=True)
    path, progress = folder / "state.safetensors", checkpoint.Progress()
    if path.exists():
        best, progress = checkpoint.read(path, toy, optimizer, made_of)
        mean = {name: weight.to(device) for name, weight in (best or mean).items()}
    pictures = Pictures(recipe)
    noise = DDPMScheduler(**SCHEDULE)
    started, losses = time.process_time() - progress.cpu_seconds, 0.0
    for step in range(progress.epoch * EVERY, recipe.n_steps):
        loss = _loss(toy, noise, pictures.batch(step), recipe, step, device)
        optimizer.clear()
        loss.backward()
        share = schedule(step, recipe.n_steps, pace)
        optimizer.step(recipe.training.learning_rate * share)
        losses += float(loss.detach())
        # young weights are forgotten sooner
        keep = min(recipe.average, (1 + step) / (10 + step))
        state = toy.state_dict()
        for name, weight in mean.items():
            if weight.is_floating_point():
                weight.lerp_(state[name], 1 - keep)
        if (step + 1) % EVERY == 0:
            progress.epoch = (step + 1) // EVERY
            progress.cpu_seconds = time.process_time() - started
            checkpoint.write(path, toy, optimizer, mean, progress, made_of)
            told(step + 1, losses / EVERY, progress.cpu_seconds)
            losses = 0.0
    toy.load_state_dict(mean)
    return toy.eval()


def _in_float32(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **others: Any
) -> Tensor:
    """Attention of a CPU, where the way back takes ten times as long in bfloat16."""
    mask = None if attn_mask is None else attn_mask.float()
    with torch.autocast(query.device.type, enabled=False):
        return scaled_dot_product_attention(
            query.float(), key.float(), value.float(), attn_mask=mask, **others
        )


def _loss(
    toy: Toy,
    noise: DDPMScheduler,
    batch: tuple[Tensor, Tensor, Tensor],
    recipe: Recipe,
    step: int,
    device: str,
) -> Tensor:
    """Mean squared error of the velocity, at a step of the noise each."""
    pictures, tokens, told = (part.to(device) for part in batch)
    draws = torch.Generator().manual_seed(torch_seed(recipe.seed, "noise", step))
    n = len(pictures)
    # one step of the noise in each n-th of them: the same mean, with less chance in it
    times = ((torch.arange(n) + torch.rand(n, generator=draws)) / n * 1000).long().to(device)
    added = torch.randn(pictures.shape, generator=draws).to(device)
    noisy = noise.add_noise(pictures, added, times)
    attention = Watch(_in_float32) if device == "cpu" else nullcontext()
    with autocast(recipe.training, device), attention:
        velocity = toy(noisy, times, tokens, told)
    wanted = noise.get_velocity(pictures, added, times)
    return mse_loss(velocity.float(), wanted)
