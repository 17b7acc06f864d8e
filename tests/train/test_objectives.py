"""Losses against their formulas, and the sampled ones against the full one."""

import numpy as np
import pytest
import torch

from etalage.train.objectives import (
    full_cross_entropy,
    generalised_bce,
    sampled_cross_entropy,
    self_ensemble,
)

P, N, D = 7, 20, 4


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    hidden = torch.randn(P, D, generator=rng, requires_grad=True)
    weight = torch.randn(N, D, generator=rng, requires_grad=True)
    return hidden, weight, torch.randint(N, (P,), generator=rng)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_full_cross_entropy_is_that_of_torch_with_its_gradients(case, chunk: int) -> None:
    hidden, weight, targets = case
    ours = torch.autograd.grad(full_cross_entropy(hidden, weight, targets, chunk), (hidden, weight))
    expected = torch.nn.functional.cross_entropy(hidden @ weight.T, targets)
    theirs = torch.autograd.grad(expected, (hidden, weight))
    torch.testing.assert_close(full_cross_entropy(hidden, weight, targets, chunk), expected)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_sampling_every_item_once_is_the_full_loss(case) -> None:
    hidden, weight, targets = case
    everything = torch.arange(N)
    sampled = sampled_cross_entropy(hidden, weight, targets, everything)
    # the target is masked among the negatives, so each of the other N - 1 counts (N - 1) / N
    logits = hidden @ weight.T + np.log((N - 1) / N)
    logits = logits.scatter(1, targets[:, None], (hidden @ weight.T).gather(1, targets[:, None]))
    torch.testing.assert_close(sampled, torch.nn.functional.cross_entropy(logits, targets))


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_gbce_follows_its_equation(case, t: float) -> None:
    hidden, weight, targets = case
    negatives = torch.tensor([n for n in range(N) if n not in set(targets.tolist())][:5])
    scores = (hidden @ weight.T).double()
    alpha = 5 / (N - 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    positive = torch.sigmoid(scores.gather(1, targets[:, None]))[:, 0]
    negative = torch.sigmoid(scores[:, negatives])
    expected = -(torch.log(positive**beta) + torch.log(1 - negative).sum(1)).mean() / 6
    got = generalised_bce(hidden, weight, targets, negatives, t)
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)
    assert beta == pytest.approx({0.0: 1.0, 1.0: alpha}.get(t, beta))


def test_a_negative_that_is_the_target_counts_for_nothing(case) -> None:
    hidden, weight, _ = case
    targets = torch.full((P,), 3)
    with_it = torch.tensor([3, 5])
    loss = generalised_bce(hidden, weight, targets, with_it, 0.5)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, (hidden, weight)))


def test_the_self_ensemble_loss_is_its_formula_with_its_closed_gradient() -> None:
    rng = torch.Generator().manual_seed(0)
    one, two = (torch.randn(9, generator=rng, dtype=torch.float64) * 3 for _ in range(2))
    clicks = torch.randint(2, (9,), generator=rng).double()
    one.requires_grad_()
    loss = self_ensemble(one, two, clicks)
    p1, p2 = one.sigmoid(), two.sigmoid()
    p = (p1 + p2) / 2
    bce = torch.nn.functional.binary_cross_entropy
    torch.testing.assert_close(loss, bce(p, clicks) + bce(p1, p.detach()) + bce(p2, p.detach()))
    (grad,) = torch.autograd.grad(loss, one)
    closed = ((p - clicks) / 2 * p1 * (1 - p1) / (p * (1 - p)) + p1 - p) / len(one)
    torch.testing.assert_close(grad, closed.detach())


def test_the_self_ensemble_loss_stays_finite_where_logits_are_extreme() -> None:
    far = torch.tensor([200.0, -200.0, 200.0, -200.0], requires_grad=True)
    loss = self_ensemble(far, far.detach().clone(), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    (grad,) = torch.autograd.grad(loss, far)
    assert torch.isfinite(loss)
    assert torch.isfinite(grad).all()
    # equal passes learn what one pass learns from plain log-loss, halved between the two
    equal = torch.randn(5, requires_grad=True)
    clicks = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0])
    (ours,) = torch.autograd.grad(self_ensemble(equal, equal, clicks), equal)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(equal, clicks)
    torch.testing.assert_close(ours, torch.autograd.grad(plain, equal)[0])
