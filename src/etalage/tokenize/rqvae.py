"""How does TIGER spell an item? RQ-VAE: residual codes of a latent that a network learns.

Rajput et al., 2023 (arXiv 2305.05065), after Lee et al., 2022: z = encoder(x), r_0 = z,
c_l = argmin_j |r_l - C_l[j]|^2, r_{l+1} = r_l - C_l[c_l], z' = sum_l C_l[c_l], x' = decoder(z'),
L = |x - x'|^2 + sum_l |sg(r_l) - C_l[c_l]|^2 + beta |r_l - sg(C_l[c_l])|^2.
Letters: N items, D width, P latent width, L levels, K codes of a level, B batch.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from etalage.errors import DataError
from etalage.tokenize.autoencoder import AutoencodingQuantizer, Bottleneck
from etalage.tokenize.kmeans import kmeans, sample_of


class RQVAE(AutoencodingQuantizer):
    """Vectors to L codes of K values each through a network, and back.

    Codebooks start as k-means of the first latents. A code that no item took in an epoch moves to a
    residual of the last batch. `sinkhorn` > 0 shares the last level's codes alike in training
    (0.003 in LC-Rec); `encode` always takes the nearest.
    """

    def __init__(
        self,
        n_levels: int = 3,
        n_codes: int = 256,
        latent: int = 32,
        hidden: tuple[int, ...] = (256, 128),
        epochs: int = 100,
        batch_size: int = 1024,
        learning_rate: float = 2e-3,
        commitment: float = 0.25,
        sinkhorn: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._sizes = (n_codes,) * n_levels
        self.latent, self.hidden, self.epochs = latent, hidden, epochs
        self.batch_size, self.learning_rate, self.seed = batch_size, learning_rate, seed
        self.commitment, self.sinkhorn = commitment, sinkhorn
        self._check()
        if min(n_codes - 1, commitment, sinkhorn) < 0 or learning_rate <= 0:
            raise DataError(
                f"n_codes must be at least 1, learning_rate above 0, commitment and sinkhorn at "
                f"least 0; got {n_codes}, {learning_rate}, {commitment} and {sinkhorn}"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        return self._sizes

    def bottleneck(self) -> Bottleneck:
        return ResidualCodes(self.sizes, self.latent, self.commitment, self.sinkhorn, self.seed)


class ResidualCodes(Bottleneck):
    """Codebooks (L, K, P), and gradients straight through them."""

    def __init__(
        self, sizes: tuple[int, ...], latent: int, commitment: float, epsilon: float, seed: int
    ) -> None:
        super().__init__()
        self.books = nn.Parameter(torch.randn(len(sizes), sizes[0], latent))
        self.commitment, self.epsilon, self.seed = commitment, epsilon, seed
        self._used = torch.zeros(self.books.shape[:2], dtype=torch.bool)
        self._residuals: list[Tensor] = []

    def forward(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        residual, total, loss = z, torch.zeros_like(z), torch.zeros(())
        parts, self._residuals = [], []
        for level, book in enumerate(self.books):
            self._residuals.append(residual.detach())
            apart = torch.cdist(residual.detach(), book.detach()).square()  # (B, K)
            if self.epsilon and level == len(self.books) - 1:
                code = sinkhorn(apart, self.epsilon).argmax(1)
            else:
                code = apart.argmin(1)
            self._used[level, code] = True
            chosen = book[code]  # (B, P)
            pulled = (residual.detach() - chosen).square().sum(1).mean()
            held = (residual - chosen.detach()).square().sum(1).mean()
            loss = loss + pulled + self.commitment * held
            residual = residual - chosen.detach()
            total = total + chosen.detach()
            parts.append(z + (total - z).detach())
        return parts, loss

    def encode(self, z: Tensor) -> Tensor:
        codes = []
        for book in self.books:
            code = torch.cdist(z, book).argmin(1)
            codes.append(code)
            z = z - book[code]
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        total = torch.zeros(len(codes), self.books.shape[2])
        for book, code in zip(self.books, codes.T, strict=False):
            total = total + book[code]
        return total

    def start(self, z: Tensor, rng: np.random.Generator) -> None:
        n_codes = self.books.shape[1]
        z = torch.from_numpy(sample_of(z.numpy(), n_codes, self.seed))
        for book in self.books:
            book.data.copy_(torch.from_numpy(kmeans(z.numpy(), n_codes, 10, rng)))
            z = z - book[torch.cdist(z, book).argmin(1)]

    def end_epoch(self, is_early: bool) -> None:
        for used, book, residuals in zip(self._used, self.books, self._residuals, strict=True):
            dead = (~used).nonzero()[:, 0]
            if is_early and len(dead):
                book.data[dead] = residuals[torch.randint(len(residuals), (len(dead),))]
        self._used.zero_()


def sinkhorn(apart: Tensor, epsilon: float, n_iterations: int = 50) -> Tensor:
    """log of the plan (B, K) that shares B rows among K columns alike at a low cost (B, K).

    Rows sum to 1/B and columns to 1/K after exp (Cuturi, 2013); the smaller `epsilon`, the more it
    is a hard choice. Costs are centred and scaled to -1..1 first, and all sums are of logs, so that
    none vanishes.
    """
    middle = (apart.max() + apart.min()) / 2
    scale = (apart.max() - middle).clamp(min=1e-12)
    plan = -(apart - middle) / scale / epsilon
    n_rows, n_columns = plan.shape
    for _ in range(n_iterations):
        plan = plan - plan.logsumexp(0, keepdim=True) - math.log(n_columns)
        plan = plan - plan.logsumexp(1, keepdim=True) - math.log(n_rows)
    return plan
