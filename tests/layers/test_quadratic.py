"""Every neuron format against its equation, and the layer against its published form."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from etalage.layers.quadratic import FORMATS, KhatriRaoLayer, QuadraticNeuron

WIDTH = 6


def direct(kind: str, neuron: QuadraticNeuron, x: np.ndarray) -> np.ndarray:
    """One row by the equation of the format, coordinate by coordinate, in float64."""
    maps = list(neuron.maps)

    def linear(n: int, v: np.ndarray) -> np.ndarray:
        return maps[n].weight.detach().numpy().astype(float) @ v + maps[n].bias.detach().numpy()

    def form() -> np.ndarray:
        a, bias = maps[-1].form.weight.detach().numpy(), maps[-1].form.bias.detach().numpy()
        return np.array([x @ a[k] @ x + bias[k] for k in range(len(x))])

    def up(v: np.ndarray) -> np.ndarray:
        return np.maximum(v, 0)

    d, half = len(x), len(x) // 2
    h = linear(0, x) if kind not in {"T2", "T3", "T6"} else None
    h1, h2 = (h[:d], h[d:]) if h is not None and len(h) == 2 * d else (None, None)
    cat = np.concatenate
    return {
        "T1": lambda: form() + h,
        "T2": lambda: form(),
        "T3": lambda: linear(0, x * x),
        "T4": lambda: h * h,
        "T5": lambda: h1 * h2,
        "T6": lambda: form() + linear(0, x * x),
        "T7": lambda: h1 * h2 + linear(1, x * x),
        "T8": lambda: h[:d] * h[d : 2 * d] + h[2 * d :],
        "T9": lambda: x * h + x,
        "T10": lambda: x * h1 + h2,
        "T11": lambda: cat([h[:half], h[half:] ** 2]),
        "T12": lambda: cat([h[:half] * h[half:], linear(1, x * x)]),
        "T13": lambda: cat([h[:half] * h[half:d], h[d:]]),
        "T14": lambda: cat([h[:half] * h[half:], h[half:]]),
        "T15": lambda: cat([h * h, h]),
        "T16": lambda: x * (h1 * h2) + x,
        "T17": lambda: x * h1 + h2 + x,
        "T18": lambda: linear(1, cat([x * h, x])),
        "T19": lambda: x * up(h) + x,
        "T20": lambda: x * h + h + x,
        "T21": lambda: (x * h) ** 2 + x,
        "T22": lambda: x * h + maps[1].scale.detach().numpy() * x,
        "T23": lambda: h1 * h2 + x,
        "T24": lambda: h1 * up(h2) + x,
        "T25": lambda: x * linear(1, up(h)) + x,
        "T26": lambda: x * (up(h1) + up(h2)) / 2 + x,
        "T27": lambda: x**2 * (up(h1) + up(h2)) / 2 + x,
        "T28": lambda: x * (up(h1) ** 2 + up(h2) ** 2) / 2 + x,
        "T29": lambda: x * (up(h1) + up(h2) ** 2) / 2 + x,
        "T30": lambda: (x * up(h1) + x**2 * up(h2)) / 2 + x,
    }[kind]()


def test_there_are_thirty_formats() -> None:
    assert sorted(FORMATS) == sorted(f"T{n}" for n in range(1, 31))
    with pytest.raises(ValueError, match="must be even; got 5"):
        QuadraticNeuron("T9", 5)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_neuron_is_its_equation(kind: str) -> None:
    torch.manual_seed(0)
    neuron = QuadraticNeuron(kind, WIDTH)
    if kind == "T22":
        nn.init.normal_(neuron.maps[1].scale)
    x = torch.randn(5, WIDTH)
    found = neuron(x).detach().numpy()
    for row, y in zip(x.numpy().astype(float), found, strict=True):
        np.testing.assert_allclose(y, direct(kind, neuron, row), rtol=1e-4, atol=1e-5)


def published(layer: KhatriRaoLayer, x: Tensor, n_fields: int, heads: int) -> Tensor:
    """Steps 1 to 9 as published, the Khatri-Rao product held whole.

    Published weights stand in the order (H, R, d / H), those of the layer in (R, H, d / H).
    """
    b, width = x.shape
    order = torch.arange(layer.n_rows * width).view(layer.n_rows, heads, -1).transpose(0, 1)
    h = layer.project(x)
    if layer.norm is not None:
        h = layer.norm(h)
    h = h[:, order.reshape(-1)].relu().view(b, heads, layer.n_rows, width // heads)
    chunks = x.view(b, n_fields, -1).chunk(heads, dim=-1)
    x_heads = torch.stack(chunks, 1).reshape(b, heads, width // heads)
    product = torch.einsum("bhj,bhrj->bhrj", x_heads, h)
    return product.sum(2).reshape(b, width) + x


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_layer_is_the_published_one(heads: int, batch_norm: bool) -> None:
    torch.manual_seed(0)
    layer = KhatriRaoLayer(3, 8, 5, heads, batch_norm=batch_norm).double()
    x = torch.randn(7, 24, dtype=torch.float64, requires_grad=True)
    for mode in (layer.train(), layer.eval()):
        ours, theirs = mode(x), published(mode, x, 3, heads)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        weights = torch.randn_like(ours)
        grads = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (ours, theirs)]
        torch.testing.assert_close(*grads)


def test_folding_the_batch_norm_changes_no_answer() -> None:
    torch.manual_seed(0)
    layer = KhatriRaoLayer(3, 4, 5, 2).train()
    for _ in range(20):
        layer(torch.randn(32, 12) * 2 + 1)
    layer.eval()
    nn.init.normal_(layer.norm.weight)
    nn.init.normal_(layer.norm.bias)
    x = torch.randn(9, 12)
    before = layer(x)
    layer.fold()
    assert layer.norm is None
    torch.testing.assert_close(layer(x), before)
    layer.fold()  # nothing left to fold
    torch.testing.assert_close(layer(x), before)


def test_heads_must_part_a_field_evenly() -> None:
    with pytest.raises(ValueError, match="width 6 has no 4 equal heads"):
        KhatriRaoLayer(2, 6, 1, 4)


@pytest.mark.parametrize(
    ("n_codes", "fields", "layers", "rows", "batch_norm", "expected"),
    [(9751, 7, 1, 4, True, 207_649), (5383, 10, 2, 13, True, 764_369),
     (910_747, 39, 3, 2, False, 16_912_577), (910_747, 39, 4, 5, False, 22_372_577),
     (665_765, 16, 4, 2, True, 11_182_929)],
)  # fmt: skip
def test_parameters_are_those_of_the_published_logs(
    n_codes: int, fields: int, layers: int, rows: int, batch_norm: bool, expected: int
) -> None:
    """Σ vocabulary · D + L (R d² + R d [+ 2 R d]) + d + 1, with D = 16."""
    width = 16 * fields
    with torch.device("meta"):
        layer = KhatriRaoLayer(fields, 16, rows, batch_norm=batch_norm)
    in_layer = sum(p.numel() for p in layer.parameters())
    assert n_codes * 16 + layers * in_layer + width + 1 == expected
