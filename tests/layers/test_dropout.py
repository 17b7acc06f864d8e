"""Dropout keeps the right share, scales it, and goes back the way it came."""

import pytest
import torch

from etalage.layers.attention import CausalBlock, causal_mask
from etalage.layers.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate: float) -> None:
    torch.manual_seed(0)
    drop = Dropout(rate).train()
    y = drop(torch.ones(1000, 1003))
    n = y.numel()
    assert abs(drop.rate - rate) <= 0.5 / 256
    share = (y == 0).float().mean().item()
    assert share == pytest.approx(drop.rate, abs=5 * (drop.rate * (1 - drop.rate) / n) ** 0.5)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - drop.rate)])
    # entries that share a random word are dropped independently of each other
    pairs = (y.view(-1)[:-1] == 0) & (y.view(-1)[1:] == 0)
    assert pairs.float().mean().item() == pytest.approx(drop.rate**2, abs=0.003)


def test_gradients_pass_where_values_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 5, requires_grad=True)
    y = Dropout(0.3).train()(x)
    (grad,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y, x * grad)
    assert (grad == 0).any()


def test_nothing_is_dropped_when_judging_or_at_rate_0() -> None:
    x = torch.randn(4, 4)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


@pytest.mark.parametrize("rate", [1.0, 1.5, -0.001])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        Dropout(rate)


@pytest.mark.parametrize(("rate", "share"), [(0.0001, 1 / 256), (0.999, 255 / 256)])
def test_a_small_rate_is_not_0_and_a_large_one_is_not_1(rate: float, share: float) -> None:
    torch.manual_seed(0)
    y = Dropout(rate).train()(torch.ones(1000, 1000))
    assert (y == 0).float().mean().item() == pytest.approx(share, abs=5e-4)
    assert y.mean().item() == pytest.approx(1, abs=0.1)


def test_the_same_seed_drops_the_same() -> None:
    drop, x = Dropout(0.5).train(), torch.ones(100)
    torch.manual_seed(3)
    one = drop(x)
    torch.manual_seed(3)
    assert drop(x).tolist() == one.tolist()
    assert drop(x).tolist() != one.tolist()


def test_attention_that_may_drop_is_plain_attention_where_nothing_is_dropped() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6, 8)
    known = torch.tensor([[False, True, True, True, True, True], [True] * 6, [False] * 5 + [True]])
    block = CausalBlock(8, 2, 0.5)
    mask = causal_mask(known)
    plain = block.eval()(x, mask)

    class Keep(Dropout):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    block.drop = Keep(0.5)
    torch.testing.assert_close(block.train()(x, mask), plain)
