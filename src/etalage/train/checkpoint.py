"""Where were we? One file holds all a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from etalage.artefact import whole_file
from etalage.errors import BundleError
from etalage.train.optimizer import Optimizer


@dataclass
class Progress:
    """What a run has reached, apart from its weights."""

    epoch: int = 0
    """Epochs finished."""
    best_epoch: int = 0
    best_value: float = float("-inf")
    misses: int = 0
    """Validations in a row without improvement."""
    cuts: int = 0
    """Cuts of the learning rate so far."""
    seconds: float = 0.0
    """Wall seconds of the fit up to here, over all sessions."""
    cpu_seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def write(
    path: Path,
    network: torch.nn.Module,
    optimizer: Optimizer,
    best: dict[str, torch.Tensor] | None,
    progress: Progress,
    made_of: dict[str, Any],
) -> None:
    """Writes beside `path`, then replaces it, so that a kill leaves the old or the new, whole.

    `made_of` says, as JSON, what the weights follow from; `read` refuses any other.
    """
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in (best or {}).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
    # tied weights share memory, which safetensors refuses; a copy of each costs little
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    facts = {"progress": json.dumps(vars(progress)), "made_of": json.dumps(made_of)}
    with whole_file(path) as draft:
        save_file(tensors, draft, metadata=facts)
        with draft.open("rb") as file:
            os.fsync(file.fileno())


def read(
    path: Path, network: torch.nn.Module, optimizer: Optimizer, made_of: dict[str, Any]
) -> tuple[dict[str, torch.Tensor] | None, Progress]:
    """Puts the saved state back; returns the best weights so far and the progress.

    Raises:
        BundleError: when the checkpoint was made of something else, or is cut or no checkpoint.
    """
    groups: dict[str, dict[str, torch.Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            for key in file.keys():  # noqa: SIM118 (this is no dict)
                group, name = key.split(".", 1)
                groups[group][name] = file.get_tensor(key)
        found = json.loads(facts["made_of"])
        progress = Progress(**json.loads(facts["progress"]))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path} is no checkpoint that can be read ({error!r}); remove it to start afresh"
        ) from error
    if found != made_of:
        raise BundleError(
            f"{path} was made with other {_differences(found, made_of)}; remove it to start "
            "afresh, or give this run another folder"
        )
    network.load_state_dict(groups["network"])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in groups["optimizer"].items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    whole: dict[str, Any] = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    return groups["best"] or None, progress


def _differences(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Names what two descriptions do not share: 'settings (epochs: 1, now 2) and data (...)'."""
    parts = []
    for name in sorted({*then, *now}):
        one, other = _flat(then.get(name)), _flat(now.get(name))
        lines = [
            f"{key + ': ' if key else ''}{one.get(key, 'none')}, now {other.get(key, 'none')}"
            for key in sorted({*one, *other})
            if one.get(key) != other.get(key)
        ]
        if lines:
            more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
            parts.append(f"{name} ({'; '.join(lines[:3])}{more})")
    return " and ".join(parts)


def _flat(tree: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested blocks by their dotted path."""
    if not isinstance(tree, dict):
        return {path: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _flat(value, f"{path}.{key}" if path else str(key))
    return leaves
