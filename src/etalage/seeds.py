"""Where does randomness come from? One seed, and a name for each use of it.

Nothing in Etalage touches global random state. A use that has its own name has its own
stream, so adding a draw in one place never changes the numbers drawn in another.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Returns the numpy generator of one named use of a seed.

    >>> bool(generator(1, "negatives").random() == generator(1, "negatives").random())
    True
    >>> bool(generator(1, "negatives").random() == generator(1, "dropout").random())
    False
    """
    keys = [n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names]
    return np.random.default_rng([seed, *keys])


def torch_seed(seed: int, *names: str | int) -> int:
    """Returns a 63-bit seed for a `torch.Generator`, derived as `generator` derives its own."""
    return int(generator(seed, *names).integers(0, 2**63 - 1))


@contextmanager
def torch_draws(seed: int, *names: str | int) -> Iterator[None]:
    """Inside, torch draws from one named use of a seed; afterwards, it goes on as before."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, *names))
        yield
