"""What becomes of a history? Ways to read a row of vectors, oldest first, into states.

A backbone takes vectors (B, L, D), zeros where nothing is known, and which entries are known, bool
(B, L), known ones last; it gives states (B, L, K, D) that know nothing of what comes after them, or
(B, 1, K, D), the newest alone, where `newest_only`.
Letters: B people, L history length, D width, K interests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from etalage.layers.attention import CausalBlock, causal_mask

if TYPE_CHECKING:
    from etalage.models.sequential.two_tower import TwoTowerConfig

ROUNDS = 3
"""Times that interests and items are brought nearer to each other."""


class Backbone(nn.Module):
    """What all ways to read share."""

    newest_only: ClassVar[bool] = False


class Mean(Backbone):
    """The mean of all so far (DSSM over a history; Covington et al., 2016)."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """See the module."""
        mean: Tensor = vectors.cumsum(1) / known.cumsum(1).clamp(min=1)[..., None]
        return mean[:, :, None]


class GRU(Backbone):
    """A recurrent network (GRU4Rec; Hidasi et al., 2016, arXiv 1511.06939)."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.cells = nn.GRU(config.width, config.width, config.n_layers, batch_first=True)

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """See the module."""
        # what is padded comes last, so that the first item meets a state that has read nothing
        length = vectors.shape[1]
        padded = length - known.sum(1, keepdim=True)
        place = torch.arange(length)
        forth, back = (place + padded) % length, (place - padded) % length  # (B, L)
        wide = vectors.shape[2]
        states, _ = self.cells(vectors.gather(1, forth[..., None].expand(-1, -1, wide)))
        ordered: Tensor = states.gather(1, back[..., None].expand(-1, -1, wide))
        return ordered[:, :, None]


class Attention(Backbone):
    """Causal self-attention (SASRec; Kang and McAuley, 2018, arXiv 1808.09781)."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.places = nn.Embedding(config.max_length, config.width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.blocks = nn.ModuleList(
            CausalBlock(config.width, config.n_heads, config.dropout)
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """See the module."""
        place = (known.cumsum(1) - 1).clamp(min=0)
        x = vectors + self.places(place) * known[..., None]
        mask = causal_mask(known)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)[:, :, None]


class Mind(Backbone):
    """Several interests, by dynamic routing (MIND; Li et al., 2019, arXiv 1904.08030).

    u_k = squash(Σ_j w_kj S e_j), w = softmax over k of b, b_kj ← b_kj + u_k · S e_j. b begins as
    numbers drawn once for each place of a history, counted from the newest, so that interests
    differ and answers are the same each time.
    """

    newest_only = True
    begin: Tensor

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.share = nn.Linear(config.width, config.width, bias=False)
        self.register_buffer("begin", torch.randn(config.n_interests, config.max_length))

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """See the module."""
        shared = self.share(vectors)  # (B, L, D)
        logits = self.begin[:, self.begin.shape[1] - vectors.shape[1] :].expand(
            len(vectors), -1, -1
        )  # (B, K, L)
        for turn in range(ROUNDS):
            weights = logits.softmax(1) * known[:, None]
            # only the last round is learnt through, as in the paper
            read = shared if turn == ROUNDS - 1 else shared.detach()
            interests = squash(weights @ read)  # (B, K, D)
            logits = logits + interests.detach() @ shared.detach().transpose(1, 2)
        return interests[:, None]


def squash(x: Tensor) -> Tensor:
    """|x|² / (1 + |x|²) of the direction of x."""
    square = x.square().sum(-1, keepdim=True)
    # the root has no slope at 0, where someone without a history stands
    return x * square.clamp(min=1e-12).sqrt() / (1 + square)


BACKBONES: dict[str, type[Backbone]] = {
    "mean": Mean,
    "gru": GRU,
    "attention": Attention,
    "mind": Mind,
}
