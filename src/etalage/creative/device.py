"""Where is it computed? A device as torch names it, that this machine has."""

from __future__ import annotations

from typing import Any

from etalage.errors import RecipeError


def check_device(device: str) -> None:
    """Raises RecipeError for a device that torch does not know, or cannot use here.

    >>> check_device("gpu")
    Traceback (most recent call last):
    ...
    etalage.errors.RecipeError: 'gpu' cannot be computed on here; give cpu, or a device that is \
there, such as cuda
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise RecipeError(
            f"{device!a} cannot be computed on here; give cpu, or a device that is there, such as "
            "cuda"
        ) from error


def named(device: Any) -> str:
    """A device by its make: of two makes, each computes other last bits."""
    if device.type != "cuda":
        return str(device.type)
    import torch

    return f"cuda, {torch.cuda.get_device_name(device)}"
