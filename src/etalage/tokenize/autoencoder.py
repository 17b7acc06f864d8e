"""What do quantisers that train a network share? An encoder, codes in its middle, a decoder.

Letters: N items, D width, P latent width, L levels, K codes of a level, B batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.seeds import generator, torch_draws
from etalage.tokenize.kmeans import BLOCK, Vectors, checked_vectors
from etalage.tokenize.quantizer import Quantizer, check_counts, check_fitted


class Bottleneck(nn.Module):
    """Codes in the middle of an autoencoder."""

    reads_prefixes = False
    """Whether every prefix of the codes must be decoded in training, or only all of them."""

    def forward(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        """z (B, P) -> what the first 1, 2, ... L codes stand for, (B, P) each, and a loss.

        Gradients of the former reach z.
        """
        raise NotImplementedError

    def encode(self, z: Tensor) -> Tensor:
        """z (B, P) -> codes int64 (B, L)."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Codes int64 (B, l), l <= L -> what they stand for, (B, P)."""
        raise NotImplementedError

    def start(self, z: Tensor, rng: np.random.Generator) -> None:
        """Sees latents (N, P) before the first step."""

    def end_epoch(self, is_early: bool) -> None:
        """Sees the end of each epoch, and whether there is time to learn from a change."""


class Network(nn.Module):
    """Encoder, bottleneck, decoder of vectors that are centred and scaled."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, hidden: tuple[int, ...], bottleneck: Bottleneck, latent: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.encoder = _mlp((width, *hidden, latent))
        self.decoder = _mlp((latent, *hidden[::-1], width))
        self.bottleneck = bottleneck

    def loss(self, x: Tensor) -> Tensor:
        """|x - x'|^2 of x (B, D), a mean over the batch, and what the bottleneck adds."""
        parts, extra = self.bottleneck(self.encoder(x))
        read = parts if self.bottleneck.reads_prefixes else parts[-1:]
        errors = [(x - self.decoder(part)).square().sum(1).mean() for part in read]
        return torch.stack(errors).mean() + extra


class AutoencodingQuantizer(Quantizer):
    """The training loop, and codes of a trained network."""

    hidden: tuple[int, ...]
    latent: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    @abstractmethod
    def bottleneck(self) -> Bottleneck:
        """Returns a new one, drawn from torch's current random state."""

    def fit(self, vectors: Vectors) -> Self:
        """Trains on the vectors float32 (N, D) of a catalogue."""
        vectors = checked_vectors(vectors)
        rng = generator(self.seed, "autoencoder")
        with torch_draws(self.seed, "autoencoder"):
            network = self._network(vectors.shape[1])
            x = torch.from_numpy(vectors.copy())
            network.mean.copy_(x.mean(0))
            # of unit variance a column on average, so that one learning rate suits all vectors
            network.scale.copy_((x - network.mean).square().mean().sqrt().clamp(min=1e-12))
            x = (x - network.mean) / network.scale
            with torch.no_grad():
                network.bottleneck.start(network.encoder(x), rng)
            optimizer = torch.optim.AdamW(network.parameters(), self.learning_rate)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
            for epoch in range(self.epochs):
                order = torch.from_numpy(rng.permutation(len(x)))
                for rows in order.split(self.batch_size):
                    optimizer.zero_grad()
                    network.loss(x[rows]).backward()
                    optimizer.step()
                network.bottleneck.end_epoch(is_early=epoch < 0.8 * self.epochs)
                schedule.step()
        self.network = network.eval()
        return self

    def encode(self, vectors: Vectors) -> NDArray[np.int32]:
        """Returns codes int32 (N, L); different items may share all of them."""
        check_fitted(self, "network")
        vectors = checked_vectors(vectors, len(self.network.mean))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(vectors), BLOCK):
                x = torch.from_numpy(vectors[start : start + BLOCK].copy())
                z = self.network.encoder((x - self.network.mean) / self.network.scale)
                parts.append(self.network.bottleneck.encode(z).int().numpy())
        return np.concatenate(parts)

    def decode(self, codes: NDArray[np.int32]) -> Vectors:
        """Returns the vectors that codes stand for, float32 (N, D); see `Quantizer.decode`."""
        check_fitted(self, "network")
        with torch.inference_mode():
            kept = torch.from_numpy(codes[:, : self.n_levels].astype(np.int64))
            x = self.network.decoder(self.network.bottleneck.decode(kept))
            return (x * self.network.scale + self.network.mean).numpy()

    def arrays(self) -> dict[str, NDArray[Any]]:
        check_fitted(self, "network")
        return {name: value.numpy() for name, value in self.network.state_dict().items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        with torch.random.fork_rng(devices=[]):
            network = self._network(len(arrays["mean"]))
        network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in arrays.items()})
        self.network = network.eval()
        return self

    def _network(self, width: int) -> Network:
        return Network(width, self.hidden, self.bottleneck(), self.latent)

    def _check(self) -> None:
        check_counts(
            n_levels=self.n_levels, latent=self.latent, epochs=self.epochs,
            batch_size=self.batch_size, hidden=min(self.hidden, default=1),
        )  # fmt: skip


def _mlp(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
