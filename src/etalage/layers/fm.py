"""How well do all pairs of fields agree? The two parts of a factorization machine.

Rendle, 2010, "Factorization Machines".

Letters: B rows, N fields, D width of a field.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm


class Additive(nn.Module):
    """b + Σ_i w_i: terms, float (B, N), that add up to a logit, float (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, terms: Tensor) -> Tensor:
        """terms float (B, N) -> float (B,)."""
        return terms.sum(1) + self.bias


def agreement(fields: Tensor) -> Tensor:
    """Σ_{i<j} <v_i, v_j> of fields (B, N, D), float (B,), in time linear in N (Lemma 3.1).

    >>> agreement(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])).item()
    67.0
    """
    # a norm is one sweep; squares to be summed are another tensor of the size of the fields
    norms = vector_norm(fields.flatten(1), dim=1)  # (B,)
    return (fields.sum(1).square().sum(1) - norms.square()) / 2
