"""Who else is training? Data parallel under `torchrun`: same weights everywhere, shared gradients.

With R processes a step reads R batches, one each, and takes the mean of their gradients: the same
as one process with batches R times as large.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import distributed


class Team:
    """The processes of one training; a single one outside of `torchrun`."""

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        if self.size > 1 and not distributed.is_initialized():
            distributed.init_process_group("gloo")
            # left open, its threads abort the interpreter on its way out
            atexit.register(distributed.destroy_process_group)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, batches: Iterable[Any]) -> Iterator[Any]:
        """This process's batches, one of every R; None where the last round has none for it."""
        if self.size == 1:
            yield from batches
            return
        left = iter(batches)
        while round_ := list(islice(left, self.size)):
            yield round_[self.rank] if self.rank < len(round_) else None

    def average_gradients(self, network: torch.nn.Module, *, has_batch: bool) -> None:
        """Puts the mean of all gradients where each process had its own."""
        if self.size == 1:
            return
        gradients = []
        for weight in network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            gradients.append(weight.grad)
        n_batches = torch.tensor([float(has_batch)])
        flat = torch.cat([g.reshape(-1) for g in gradients] + [n_batches])
        distributed.all_reduce(flat)
        flat /= flat[-1].clone()
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self.size > 1:
            distributed.barrier()
