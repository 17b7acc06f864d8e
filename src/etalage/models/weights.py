"""How do the weights of a network become arrays, and come back?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from etalage.errors import BundleError


def weights_of(network: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Every weight and kept buffer, by its name."""
    return {name: value.numpy() for name, value in network.state_dict().items()}


def put_weights(network: torch.nn.Module, arrays: dict[str, NDArray[Any]], folder: Path) -> None:
    """Puts back what `weights_of` gave; BundleError where it is not that of this network."""
    try:
        network.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    except (RuntimeError, TypeError) as error:
        raise BundleError(
            f"the arrays in {folder} are not those of its config.json ({error}); save it again"
        ) from error
