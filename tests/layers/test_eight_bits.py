"""Linear layers in 8 bits: within the rounding's own bound, exact in company, right anywhere."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from etalage.layers import eight_bits
from etalage.layers.eight_bits import EightBitLinear, columns_of, in_eight_bits, rounded
from etalage.layers.mlp import Logit


def layer(width: int, out: int, seed: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(width, out, bias=bias)


@given(
    st.integers(1, 40), st.integers(1, 70), st.integers(1, 30), st.integers(0, 99), st.booleans()
)
def test_the_error_is_that_of_the_rounding(
    n_rows: int, width: int, out: int, seed: int, bias: bool
) -> None:
    linear = layer(width, out, seed, bias=bias)
    x = torch.randn(n_rows, width)
    found = EightBitLinear(linear)(x)
    x64, w64 = x.double(), linear.weight.detach().double()
    s_x = x64.abs().amax(1, keepdim=True) / 127
    s_w = w64.abs().amax(1, keepdim=True) / 127
    # each number is off by at most half of its scale
    bound = s_x / 2 * w64.abs().sum(1) + x64.abs().sum(1, keepdim=True) * s_w.T / 2
    bound = bound + width * s_x * s_w.T / 4
    exact = x64 @ w64.T + (linear.bias.detach().double() if bias else 0)
    assert ((found.double() - exact).abs() <= bound + 1e-5).all()


def test_whole_numbers_come_out_as_they_are() -> None:
    linear = layer(2, 1, 0, bias=False)
    with torch.no_grad():
        linear.weight[:] = torch.tensor([[127.0, -3.0]])
    x = torch.tensor([[127.0, 5.0], [0.0, 0.0], [-127.0, 127.0]])
    assert EightBitLinear(linear)(x)[:, 0].tolist() == [127 * 127 - 15, 0, -127 * 127 - 3 * 127]


def test_a_row_does_not_depend_on_its_company() -> None:
    made = EightBitLinear(layer(96, 33, 1))
    x = torch.randn(eight_bits.ROWS_AT_ONCE + 7, 96)
    together = made(x)
    for row in (0, 5, len(x) - 1):
        assert torch.equal(made(x[row : row + 1])[0], together[row])
    assert torch.equal(made(x.view(1, *x.shape))[0], together)


@pytest.mark.parametrize("width", [96, 1040, 1041, 3000])
def test_without_units_for_it_the_bytes_are_the_same(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    linear = layer(width, 24, 2)
    with torch.no_grad():
        linear.weight[0] = 1.0  # the largest sum there is
    made, x = EightBitLinear(linear), torch.randn(50, width)
    x[0] = 1.0
    whole, weight = rounded(x)[0].long(), made.weight.long()
    monkeypatch.setattr(eight_bits, "_are_exact", lambda: False)
    assert torch.equal(eight_bits._sums(rounded(x)[0], made.weight).long(), whole @ weight.T)
    slow = made(x)
    monkeypatch.undo()
    assert torch.equal(made(x), slow)


def test_some_columns_are_those_columns() -> None:
    linear, x = layer(16, 12, 3, bias=False), torch.randn(4, 16)
    made = EightBitLinear(linear)
    assert torch.equal(columns_of(made, x, 4, 8), made(x)[:, 4:8])
    assert torch.allclose(columns_of(linear, x, 4, 8), linear(x)[:, 4:8], atol=1e-6)


def test_every_linear_layer_is_replaced_and_nothing_else() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), Logit(2))
    kinds = [type(part) for part in in_eight_bits(network).modules()]
    linear = EightBitLinear
    assert kinds == [nn.Sequential, linear, nn.Sequential, nn.ReLU, linear, Logit]


def test_what_is_no_number_stays_none() -> None:
    linear = layer(3, 2, 4)
    with torch.no_grad():
        linear.weight[1, 1] = torch.nan
    found = EightBitLinear(linear)(torch.ones(1, 3))
    assert found[0].isnan().tolist() == [False, True]


def test_no_rows_give_no_rows() -> None:
    assert EightBitLinear(layer(3, 2, 5))(torch.zeros(0, 3)).shape == (0, 2)
