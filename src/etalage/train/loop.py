"""How does it learn? The one training loop: plain, resumable, the same on every run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from etalage import __version__
from etalage.artefact import whole_file
from etalage.errors import EtalageError
from etalage.seeds import generator, torch_seed
from etalage.train import memory
from etalage.train.checkpoint import Progress, read, write
from etalage.train.config import TrainingConfig
from etalage.train.context import Clock, FitReport, TrainContext
from etalage.train.optimizer import Optimizer
from etalage.train.team import Team
from etalage.train.touched import TouchedAdam

CUT = 0.1
"""What the learning rate is multiplied by when validations bring nothing any more."""
CHECKED = 32
"""Steps after which the loss is looked at; one that is no number stops the run."""


def train(
    network: torch.nn.Module,
    batches: Callable[[np.random.Generator], Iterable[Any]],
    loss: Callable[[Any], torch.Tensor],
    *,
    n_steps: int,
    config: TrainingConfig,
    context: TrainContext,
    validate: Callable[[], dict[str, float]] | None = None,
    tables: Iterable[torch.Tensor] = (),
    table_decay: float = 0.0,
    touched: TouchedAdam | None = None,
) -> FitReport:
    """Runs epochs of `batches(rng)`, one optimiser step on `loss(batch)` each.

    Every random draw of an epoch, in numpy or torch, follows from (seed, epoch), so a run that is
    killed and resumed from `context.folder` ends with the very weights of one that was not. Under
    `torchrun` the processes share the batches of an epoch and average their gradients. With
    `validate`, the state with the highest `config.monitor` is kept.

    Args:
        network: trained in place, and left in `eval()` mode.
        batches: gives the batches of one epoch, drawn with the generator handed to it.
        loss: scalar mean loss of one batch.
        n_steps: steps in an epoch, for the schedule.
        config: how long, how fast.
        context: seed, folder, clock.
        validate: metrics of the network as it stands; called in `eval()` mode.
        tables: weights of the network that have an L2 of their own, of weight `table_decay` / 2.
        touched: moves these tables instead, where only rows that a batch reads shall move.

    Raises:
        EtalageError: when the loss is no longer a number, or several processes move by touch.
        BundleError: for a checkpoint made of other data, settings, shapes or version, or broken.
    """
    clock = context.clock or Clock()
    if rounds(config):
        memory.hold_few_programs()
    optimizer = Optimizer(network, config, tables, table_decay, touched)
    progress, best, team = Progress(), None, Team()
    if touched is not None and team.size > 1:
        raise EtalageError(
            f"table_updates='touched' trains in one process; torchrun started {team.size}. "
            "Start one, or set table_updates='all'"
        )
    n_steps = -(-n_steps // team.size)
    path = context.checkpoint
    made_of = _made_of(network, config, context)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if context.resume and path.exists():
            best, progress = read(path, network, optimizer, made_of)
            clock.add(progress.seconds, progress.cpu_seconds)
    threads = torch.get_num_threads()
    if context.progress and team.is_first:
        batches = _with_bar(batches, n_steps, config)
    with torch.random.fork_rng(devices=[]), memory.kept():
        try:
            if context.threads:
                torch.set_num_threads(context.threads)
            while progress.epoch < config.epochs and progress.misses < config.patience:
                _run_epoch(
                    network, batches, loss, n_steps, config, context, optimizer, progress, team
                )
                best = _judge(network, config, progress, best, validate)
                progress.seconds, progress.cpu_seconds = clock.seconds, clock.cpu_seconds
                if path is not None and team.is_first:
                    write(path, network, optimizer, best, progress, made_of)
                    _log(path.parent / "log.jsonl", progress.history)
        finally:
            torch.set_num_threads(threads)
            network.eval()
    team.wait()  # no process leaves while another still needs it
    if best is not None:
        network.load_state_dict(best)
    kept = progress.history[progress.best_epoch - 1] if progress.best_epoch else {}
    costs = {"epoch", "loss", "seconds", "steps_per_cpu_second"}
    return FitReport(
        n_parameters=sum(p.numel() for p in network.parameters()),
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds,
        epochs=progress.epoch,
        best_epoch=progress.best_epoch or progress.epoch,
        metrics={name: value for name, value in kept.items() if name not in costs},
        history=tuple(progress.history),
    )


def _made_of(
    network: torch.nn.Module, config: TrainingConfig, context: TrainContext
) -> dict[str, Any]:
    """What the weights follow from, apart from code that has no version of its own."""
    constants = sha256()  # what a network is built on and does not learn, such as semantic ids
    for _, buffer in sorted(network.named_buffers()):
        constants.update(buffer.detach().cpu().contiguous().numpy().data)
    return {
        "settings": {**context.settings, "training": config.to_dict(), "seed": context.seed},
        "data": context.data_hash,
        "shapes": {name: list(value.shape) for name, value in network.state_dict().items()},
        "constants": constants.hexdigest()[:16],
        "version of etalage": __version__,
    }


def _with_bar(
    batches: Callable[[np.random.Generator], Iterable[Any]], n_steps: int, config: TrainingConfig
) -> Callable[[np.random.Generator], Iterable[Any]]:
    """Draws a bar on the terminal while an epoch's batches are taken."""
    from rich.console import Console
    from rich.progress import track

    def shown(rng: np.random.Generator) -> Iterable[Any]:
        console = Console(stderr=True)
        text = f"epoch of at most {config.epochs}"
        yield from track(batches(rng), text, total=n_steps, console=console, transient=True)

    return shown


def _run_epoch(
    network: torch.nn.Module,
    batches: Callable[[np.random.Generator], Iterable[Any]],
    loss: Callable[[Any], torch.Tensor],
    n_steps: int,
    config: TrainingConfig,
    context: TrainContext,
    optimizer: Optimizer,
    progress: Progress,
    team: Team,
) -> None:
    epoch = progress.epoch
    # one process draws as it always did; others must not drop the same activations
    place = (team.rank,) if team.rank else ()
    torch.manual_seed(torch_seed(context.seed, "epoch", epoch, *place))
    network.train()
    started, cpu_started = time.perf_counter(), time.process_time()
    total, steps = torch.zeros((), dtype=torch.float64), 0
    for batch in team.share(batches(generator(context.seed, "epoch", epoch))):
        optimizer.clear()
        if batch is not None:
            value = loss(batch)
            value.backward()
            total = total.to(value.device) + value.detach()
            del value  # or its graph would live until the next one is whole
        team.average_gradients(network, has_batch=batch is not None)
        rate = schedule(epoch * n_steps + steps, n_steps, config) * CUT**progress.cuts
        optimizer.step(config.learning_rate * rate)
        steps += 1
        # asking costs an accelerator its lead, so it is asked now and then
        if steps % CHECKED == 0 and not math.isfinite(total):
            break
    network.eval()
    if optimizer.touched is not None:
        optimizer.touched.flush()  # what is judged, kept and written is whole
    if not math.isfinite(total):
        raise EtalageError(
            f"the loss became {float(total)} in epoch {epoch + 1}, by step {steps}; "
            f"try a learning_rate below {config.learning_rate}, or clip_norm=1"
        )
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    progress.epoch += 1
    row = {
        "epoch": float(progress.epoch),
        "loss": float(total) / max(steps, 1),
        "seconds": seconds,
        "steps_per_cpu_second": steps / max(cpu_seconds, 1e-9),
    }
    progress.history.append(row)


def _judge(
    network: torch.nn.Module,
    config: TrainingConfig,
    progress: Progress,
    best: dict[str, torch.Tensor] | None,
    validate: Callable[[], dict[str, float]] | None,
) -> dict[str, torch.Tensor] | None:
    """Validates when it is time; returns the weights to keep."""
    if validate is None or config.monitor is None or progress.epoch % config.validate_every:
        return best
    with torch.no_grad():
        metrics = validate()
    if config.monitor not in metrics:
        raise EtalageError(
            f"monitor {config.monitor!r} is not among the validation metrics {sorted(metrics)}"
        )
    progress.history[-1].update(metrics)
    value = metrics[config.monitor]
    if value > progress.best_value:
        progress.best_value, progress.best_epoch = value, progress.epoch
        progress.misses = 0
        return {k: v.detach().clone() for k, v in network.state_dict().items()}
    progress.misses += 1
    if progress.misses == config.patience and progress.cuts < config.cuts and best is not None:
        progress.cuts, progress.misses = progress.cuts + 1, 0
        network.load_state_dict(best)
    return best


def schedule(step: int, n_steps: int, config: TrainingConfig) -> float:
    """Share of the learning rate at a step of the whole run, 0 to 1."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    last = max(config.epochs * n_steps - config.warmup_steps, 1)
    return 0.5 * (1 + math.cos(math.pi * min((step - config.warmup_steps) / last, 1.0)))


def autocast(config: TrainingConfig, device: str = "cpu") -> Any:
    """Runs matrix products in bfloat16 where `rounds` says so."""
    return torch.autocast(device, dtype=torch.bfloat16) if rounds(config, device) else nullcontext()


def rounds(config: TrainingConfig, device: str = "cpu") -> bool:
    """Whether products are in bfloat16: where asked for, or where the device has units for it."""
    has_units = device != "cpu" or _has_bfloat16_units()
    return config.precision == "bfloat16" or (config.precision == "auto" and has_units)


@cache
def _has_bfloat16_units() -> bool:
    """Asked once a process: batches are many. AVX-512 bfloat16 alone was measured to gain none."""
    facts = Path("/proc/cpuinfo")
    return facts.exists() and "amx_bf16" in facts.read_text()


def _log(path: Path, history: list[dict[str, float]]) -> None:
    """One JSON line an epoch; written whole, so that a resumed run leaves no line twice."""
    with whole_file(path) as draft:
        draft.write_text("".join(json.dumps(row) + "\n" for row in history))
