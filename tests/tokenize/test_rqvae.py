"""The parts of RQ-VAE: shares that are equal, gradients that go through, codes that come back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.tokenize.autoencoder import Network
from etalage.tokenize.fsq import RoundedScalars
from etalage.tokenize.rqvae import RQVAE, ResidualCodes, sinkhorn


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 9), st.sampled_from([0.05, 0.5, 5]))
def test_a_plan_shares_rows_among_columns_alike(b: int, k: int, seed: int, epsilon: float) -> None:
    apart = torch.rand(b, k, generator=torch.Generator().manual_seed(seed)).double()
    plan = sinkhorn(apart, epsilon, 2000).exp()
    torch.testing.assert_close(plan.sum(1), torch.full((b,), 1 / b).double())
    torch.testing.assert_close(plan.sum(0), torch.full((k,), 1 / k).double(), atol=1e-3 / k, rtol=0)


def test_a_plan_is_that_of_plain_scaling() -> None:
    apart = torch.rand(9, 4, dtype=torch.float64)
    cost = apart.numpy() - (apart.max() + apart.min()).item() / 2
    kernel = np.exp(-cost / cost.max() / 0.5)
    u = np.ones(9)
    for _ in range(30):
        v = 1 / 4 / (kernel.T @ u)
        u = 1 / 9 / (kernel @ v)
    np.testing.assert_allclose(sinkhorn(apart, 0.5, 30).exp(), u[:, None] * kernel * v, rtol=1e-9)


def test_a_hard_plan_stays_finite_and_balances_a_crowd() -> None:
    """All rows are nearest to the first column, and still each column gets as many."""
    apart = torch.rand(64, 8) + torch.arange(8) * 0.2
    plan = sinkhorn(apart, 0.003, 500)
    assert torch.isfinite(plan).all()
    assert (torch.bincount(apart.argmin(1), minlength=8) == 8).sum() < 8
    counts = torch.bincount(plan.argmax(1), minlength=8)
    assert counts.min() >= 6
    assert counts.max() <= 10


def codes_of(sizes: tuple[int, ...] = (4, 4)) -> ResidualCodes:
    torch.manual_seed(0)
    return ResidualCodes(sizes, 3, commitment=0.25, epsilon=0.0, seed=0)


def test_gradients_go_straight_through_and_the_loss_is_the_papers() -> None:
    bottleneck, z = codes_of(), torch.randn(5, 3, requires_grad=True)
    parts, loss = bottleneck(z)
    codes = bottleneck.encode(z.detach())
    for depth in (1, 2):
        torch.testing.assert_close(parts[depth - 1], bottleneck.decode(codes[:, :depth]))
    (grad,) = torch.autograd.grad(parts[-1].sum(), z, retain_graph=True)
    assert torch.equal(grad, torch.ones_like(z))
    residual, total = z.detach(), 0.0
    for level in range(2):
        missed = residual - bottleneck.books[level, codes[:, level]]
        total += 1.25 * missed.square().sum(1).mean()
        residual = missed
    assert float(loss.detach()) == pytest.approx(float(total.detach()), rel=1e-5)
    (held,) = torch.autograd.grad(loss, z, retain_graph=True)
    first = z.detach() - bottleneck.books[0, codes[:, 0]]
    second = first - bottleneck.books[1, codes[:, 1]]
    torch.testing.assert_close(held, 0.25 * 2 * (first + second) / 5)
    (books,) = torch.autograd.grad(loss, bottleneck.books)  # of its own level's miss alone
    for code in range(4):
        pulled = -2 * first[codes[:, 0] == code].sum(0) / 5
        torch.testing.assert_close(books[0, code], pulled)


def test_only_rounded_codes_learn_to_be_cut_short() -> None:
    x = torch.randn(6, 7)
    for bottleneck in (codes_of(), RoundedScalars(2, (3, 3), latent=3)):
        network = Network(7, (4,), bottleneck, 3)
        parts, extra = bottleneck(network.encoder(x))
        errors = torch.stack([(x - network.decoder(p)).square().sum(1).mean() for p in parts])
        wanted = errors.mean() if isinstance(bottleneck, RoundedScalars) else errors[-1]
        torch.testing.assert_close(network.loss(x), wanted + extra)


def test_a_dead_code_comes_back_while_there_is_time() -> None:
    for is_early in (True, False):
        bottleneck = codes_of()
        with torch.no_grad():
            bottleneck.books[0, 2] = 1e6
        bottleneck(torch.randn(50, 3))
        bottleneck.end_epoch(is_early)
        assert bool((bottleneck.books[0, 2].abs() < 100).all()) is is_early


def test_training_keeps_more_than_the_first_step_and_uses_all_codes() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 20))
    x = (rng.normal(size=(600, 2)) @ plane).astype(np.float32)  # two numbers say all of it

    def explained(epochs: int) -> float:
        model = RQVAE(2, 16, latent=4, hidden=(32,), epochs=epochs, batch_size=64)
        codes = model.fit_encode(x)
        assert min(len(np.unique(code)) for code in codes.T) >= 12
        return float(1 - ((x - model.decode(codes)) ** 2).sum() / ((x - x.mean(0)) ** 2).sum())

    assert explained(60) > max(0.9, explained(1))


def test_fitting_leaves_torchs_randomness_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    RQVAE(1, 4, latent=2, hidden=(), epochs=1).fit(np.eye(8, dtype=np.float32))
    assert torch.equal(torch.rand(3), expected)


def test_every_rounded_code_is_read_back_as_it_was_written() -> None:
    torch.manual_seed(0)
    bottleneck = RoundedScalars(2, (4, 3, 2), latent=5)
    z = torch.randn(2000, 5) * 20
    codes = bottleneck.encode(z)
    assert set(codes[:, 0].tolist()) == set(range(24))
    parts, loss = bottleneck(z)
    assert float(loss) == 0
    torch.testing.assert_close(parts[-1], bottleneck.decode(codes), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(parts[0], bottleneck.decode(codes[:, :1]), atol=1e-5, rtol=1e-5)
