"""How is an item spelled with no codebook? Finite scalar quantisation: numbers rounded to a grid.

Mentzer et al., 2023 (arXiv 2309.15505): a bounded number has few values, so a code is a handful of
rounded numbers, and none is dead by construction. Here residual: each level rounds a projection of
what the levels before it left of the latent.
Letters: N items, D width, P latent width, L levels, K codes of a level, S scalars of a code,
B batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from etalage.errors import DataError
from etalage.tokenize.autoencoder import AutoencodingQuantizer, Bottleneck


class FSQ(AutoencodingQuantizer):
    """Vectors to L codes of at most `n_codes` values each; K is the product of `grid`."""

    def __init__(
        self,
        n_levels: int = 3,
        n_codes: int = 256,
        latent: int = 32,
        hidden: tuple[int, ...] = (256, 128),
        epochs: int = 100,
        batch_size: int = 1024,
        learning_rate: float = 2e-3,
        seed: int = 0,
    ) -> None:
        if n_codes < 2 or learning_rate <= 0:
            raise DataError(
                f"n_codes must be at least 2, and learning_rate above 0; got {n_codes} and "
                f"{learning_rate}"
            )
        self.grid = grid_of(n_codes)
        """Values of each scalar of a code, (S,)."""
        self.latent, self.hidden, self.epochs = latent, hidden, epochs
        self.batch_size, self.learning_rate, self.seed = batch_size, learning_rate, seed
        self._sizes = (math.prod(self.grid),) * n_levels
        self._check()

    @property
    def sizes(self) -> tuple[int, ...]:
        return self._sizes

    def bottleneck(self) -> Bottleneck:
        return RoundedScalars(self.n_levels, self.grid, self.latent)


def grid_of(n_codes: int) -> tuple[int, ...]:
    """Values of each scalar, about six, as alike as can be, with a product of at most `n_codes`.

    >>> grid_of(256)
    (7, 6, 6)
    """
    n_scalars = max(round(math.log(n_codes) / math.log(6)), 1)
    grid = [1] * n_scalars
    while math.prod(grid) // min(grid) * (min(grid) + 1) <= n_codes:
        grid[grid.index(min(grid))] += 1
    return tuple(grid)


class RoundedScalars(Bottleneck):
    """Projections to S scalars and back, a pair a level."""

    reads_prefixes = True
    values: Tensor
    places: Tensor

    def __init__(self, n_levels: int, grid: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.latent = latent
        values = torch.tensor(grid)
        self.register_buffer("values", values, persistent=False)  # (S,)
        places = torch.cumprod(torch.tensor([1, *grid[:-1]]), 0)
        self.register_buffer("places", places, persistent=False)  # (S,) of a mixed-radix number
        self.down = nn.ModuleList(nn.Linear(latent, len(grid)) for _ in range(n_levels))
        self.up = nn.ModuleList(nn.Linear(len(grid), latent) for _ in range(n_levels))

    def forward(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        residual, total, parts = z, torch.zeros_like(z), []
        for down, up in zip(self.down, self.up, strict=True):
            scalars = self._bounded(down(residual))  # (B, S)
            scalars = scalars + (scalars.round() - scalars).detach()
            step = up(self._centred(scalars))
            residual, total = residual - step, total + step
            parts.append(total)
        return parts, torch.zeros(())

    def encode(self, z: Tensor) -> Tensor:
        codes = []
        for down, up in zip(self.down, self.up, strict=True):
            scalars = self._bounded(down(z)).round()
            codes.append((scalars.long() * self.places).sum(1))
            z = z - up(self._centred(scalars))
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        total = torch.zeros(len(codes), self.latent)
        for up, code in zip(self.up, codes.T, strict=False):
            scalars = code[:, None] // self.places % self.values
            total = total + up(self._centred(scalars.float()))
        return total

    def _bounded(self, numbers: Tensor) -> Tensor:
        """To -0.5 .. values - 0.5, so that all values are rounded to from as wide a range."""
        return (self.values - 1e-3) * numbers.sigmoid() - 0.5 + 5e-4

    def _centred(self, scalars: Tensor) -> Tensor:
        return 2 * scalars / (self.values - 1) - 1
