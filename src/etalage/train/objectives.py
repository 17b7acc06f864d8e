"""What is a mistake worth? Losses over large catalogues.

Letters: P positions, N items, D width, K negatives.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class _LinearCrossEntropy(torch.autograd.Function):
    """Mean of -log softmax(h Wᵀ)[target], whose logits are never held beyond one chunk.

    The gradient of a softmax is known as soon as its value is (p - onehot), so forward computes
    both and no logit survives until backward. Powers stay undivided: their sums and the onehot
    go into what is narrow, (P, D), and not into what is wide, (P, N).
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> Tensor:
        n_positions = len(hidden)
        # rows of zeros add nothing to a gradient, and leave few shapes of matrices to prepare
        states = nn.functional.pad(hidden, (0, 0, 0, -n_positions % 32))
        grad_hidden = torch.empty_like(states)
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float64)
        for start in range(0, n_positions, chunk):
            rows = slice(start, start + chunk)
            h, target = states[rows], targets[rows, None]
            logits = (h @ weight.T).float()  # (chunk, N)
            highest = logits.amax(1, keepdim=True)
            n = len(target)
            total += (highest[:n] - logits[:n].gather(1, target)).sum().double()
            powers = logits.sub_(highest).exp_()  # in place
            sums = powers.sum(1, keepdim=True)  # (chunk, 1)
            total += sums[:n].log().sum().double()
            share = (1 / (n_positions * sums)).to(hidden.dtype)
            powers = powers.to(hidden.dtype)
            grad_hidden[rows] = (powers @ weight) * share
            grad_weight += (powers.T @ (h * share)).float()
        grad_hidden = grad_hidden[:n_positions] - weight[targets] / max(n_positions, 1)
        grad_weight.index_add_(0, targets, hidden.float(), alpha=-1 / max(n_positions, 1))
        ctx.save_for_backward(grad_hidden, grad_weight)
        return (total / max(n_positions, 1)).float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad * grad_hidden, grad * grad_weight, None, None


def full_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int = 128) -> Tensor:
    """Mean cross-entropy over the whole catalogue in memory of one chunk.

    Args:
        hidden: (P, D), the states to predict from.
        weight: (N, D), the item vectors.
        targets: int64 (P,), the item that came next.
        chunk: positions whose logits are held at once; few enough that they stay in the cache,
            which makes 128 rows of 12,000 items 2.5 times as fast as 2,048.
    """
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, targets, chunk)
    return loss


def sampled_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, negatives: Tensor
) -> Tensor:
    """Cross-entropy against negatives int64 (K,) drawn uniformly and shared by all positions.

    Each negative stands for (N - 1) / K items, so the loss tends to the full one as K grows.
    """
    positive, negative = _logits(hidden, weight, targets, negatives)
    negative = negative + math.log((len(weight) - 1) / len(negatives))
    return nn.functional.cross_entropy(
        torch.cat([positive[:, None], negative], 1),
        torch.zeros(len(targets), dtype=torch.int64),
    )


class _SharedSoftmax(torch.autograd.Function):
    """Mean of -log softmax over a row's own target and what all rows share, a chunk at a time.

    As above, the gradient is computed beside the value, while the logits are in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, own: Tensor, shared: Tensor, same: Tensor, shift: float
    ) -> Tensor:
        n_rows, chunk = len(states), 256
        of_states, of_own = torch.empty_like(states), torch.empty_like(own)
        of_shared = torch.zeros_like(shared)
        total = torch.zeros((), dtype=torch.float64)
        for start in range(0, n_rows, chunk):
            rows = slice(start, start + chunk)
            h, e, column = states[rows], own[rows], same[rows]
            right = (h * e).sum(1, keepdim=True)  # (chunk, 1)
            logits = (h @ shared.T).add_(shift)  # (chunk, K)
            is_same = (column >= 0).nonzero().squeeze(1)
            logits[is_same, column[is_same]] = -torch.inf
            highest = torch.maximum(logits.amax(1, keepdim=True), right)
            powers = logits.sub_(highest).exp_()  # in place
            power = (right - highest).exp_()
            sums = powers.sum(1, keepdim=True) + power
            total += (sums.log() + highest - right).sum().double()
            share = 1 / (n_rows * sums)
            pull = power * share - 1 / n_rows
            of_states[rows] = (powers @ shared) * share + pull * e
            of_own[rows] = pull * h
            of_shared += powers.T @ (h * share)
        ctx.save_for_backward(of_states, of_own, of_shared)
        return (total / max(n_rows, 1)).to(states.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        of_states, of_own, of_shared = ctx.saved_tensors
        return grad * of_states, grad * of_own, grad * of_shared, None, None


def shared_softmax(
    states: Tensor, own: Tensor, shared: Tensor, same: Tensor, *, temperature: float, shift: float
) -> Tensor:
    """Mean of -log of e^(cos(h, e) / T) over itself + Σ_k e^(cos(h, e_k) / T + shift).

    Args:
        states: h, (P, D).
        own: the target e of each, (P, D).
        shared: what all are told apart from, (K, D).
        same: which of `shared` is a row's own target and does not count, int64 (P,); -1 for none.
        temperature: T.
        shift: log of how many each of `shared` stands for.
    """
    states, own, shared = (nn.functional.normalize(x, dim=-1) for x in (states, own, shared))
    loss: Tensor = _SharedSoftmax.apply(states / temperature, own, shared, same, shift)
    return loss


def generalised_bce(
    hidden: Tensor, weight: Tensor, targets: Tensor, negatives: Tensor, calibration: float
) -> Tensor:
    """gBCE of gSASRec (Petrov and Macdonald, 2023, arXiv 2308.07192), equation 9.

    Negatives are seen more rarely than they are, which makes plain binary cross-entropy
    overconfident; the positive's probability is therefore raised to
    beta = alpha (t (1 - 1 / alpha) + 1 / alpha), with alpha = K / (N - 1), the sampling rate.
    """
    alpha = min(len(negatives) / (len(weight) - 1), 1.0)
    beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
    positive, negative = _logits(hidden, weight, targets, negatives)
    misses = beta * nn.functional.softplus(-positive) + nn.functional.softplus(negative).sum(1)
    return misses.mean() / (len(negatives) + 1)


def info_nce(states: Tensor, targets: Tensor, right: Tensor, temperature: float) -> Tensor:
    """Mean of -log softmax(cos(h, e) / T)[right], InfoNCE (van den Oord et al., 2018, 1807.03748).

    Args:
        states: (P, D), what should be near its target.
        targets: (K, D), the right ones and those to be told apart from; no two alike.
        right: int64 (P,), which target is the right one.
        temperature: T.
    """
    states = nn.functional.normalize(states.float(), dim=-1)
    likeness = states @ nn.functional.normalize(targets.float(), dim=-1).T  # (P, K)
    return nn.functional.cross_entropy(likeness / temperature, right)


def self_ensemble(one: Tensor, two: Tensor, clicks: Tensor) -> Tensor:
    """Self-ensemble loss of two passes with dropout (QNN-alpha, arXiv 2505.17999, section 4).

    L = BCE(p, y) + BCE(p1, sg(p)) + BCE(p2, sg(p)) with p = (p1 + p2) / 2, p_i = sigmoid(z_i) and
    sg the stopped gradient: the mean learns from clicks, and each pass is pulled to the mean.

    Args:
        one: logits z1 of the first pass, (B,).
        two: logits z2 of the second, (B,).
        clicks: 0 or 1, float (B,).
    """
    softplus = nn.functional.softplus
    hit = torch.logaddexp(-softplus(-one), -softplus(-two)) - math.log(2)  # log p
    miss = torch.logaddexp(-softplus(one), -softplus(two)) - math.log(2)  # log(1 - p)
    mean = hit.detach().exp()
    pulls = softplus(one) - mean * one + softplus(two) - mean * two
    return (pulls - clicks * hit - (1 - clicks) * miss).mean()


def _logits(
    hidden: Tensor, weight: Tensor, targets: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits of the targets (P,) and of the negatives (P, K), -inf where one is the target."""
    positive = (hidden * weight[targets]).sum(1).float()
    negative = (hidden @ weight[negatives].T).float()
    return positive, negative.masked_fill(negatives == targets[:, None], -torch.inf)
