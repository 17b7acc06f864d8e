"""Sweeps of fused layers: the same numbers forth and back as plain torch in float64."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from etalage.layers import fused
from etalage.layers.mlp import Layer
from etalage.layers.quadratic import KhatriRaoLayer

pytest.importorskip("numba", reason="sweeps need numba")

B, D = 300, 24


def drawn(seed: int, n: int, q: int, threshold: int) -> torch.Tensor:
    """What pass q keeps of n entries: the hash of the kernels, in whole numbers of 64 bits."""
    i = (np.arange(n, dtype=np.uint64) + np.uint64(seed)) % 2**32
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        i = ((i ^ (i >> np.uint64(shift))) * np.uint64(factor)) % 2**32
    byte = (i >> np.uint64(24 - 8 * q)) & np.uint64(255)
    return torch.from_numpy(byte >= threshold).double() * 256 / (256 - threshold)


def seeds_of(seed: int) -> list[int]:
    torch.manual_seed(seed)
    return torch.randint(2**32, (2,)).tolist()


def norm_of(width: int, kind: type = nn.BatchNorm1d) -> nn.BatchNorm1d:
    torch.manual_seed(1)
    norm = kind(width, momentum=0.3).train()
    nn.init.normal_(norm.weight, 1, 0.3)
    nn.init.normal_(norm.bias, 0, 0.3)
    return norm


def check_same(ours: list[torch.Tensor], theirs: list[torch.Tensor], tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one is not None
        largest = float(other.detach().abs().max())
        torch.testing.assert_close(one.double(), other, atol=tolerance * largest, rtol=0)


@pytest.mark.parametrize("threshold", [0, 26])
@pytest.mark.parametrize("has_norm", [True, False])
@pytest.mark.parametrize("n_passes", [1, 2])
@pytest.mark.parametrize("is_mixed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gates_are_those_of_torch(
    dtype: torch.dtype, is_mixed: bool, n_passes: int, has_norm: bool, threshold: int
) -> None:
    n_rows = 3
    torch.manual_seed(0)
    h = torch.randn(B, n_rows * D).to(dtype).requires_grad_()
    x = torch.randn(B, D).requires_grad_()
    order = torch.randperm(D) if is_mixed else torch.arange(D)
    back = [torch.randn(B, D) for _ in range(n_passes)]
    norm = norm_of(n_rows * D) if has_norm else None
    inner, outer = seeds_of(7)
    torch.manual_seed(7)
    out = fused.gated(h, x, order, norm, n_passes=n_passes, threshold=threshold)
    weights = [] if norm is None else [norm.weight, norm.bias]
    grads = torch.autograd.grad(out, [h, x, *weights], back)

    h2, x2 = (t.detach().double().requires_grad_() for t in (h, x))
    twin = norm_of(n_rows * D).double() if has_norm else None
    active = torch.relu(h2 if twin is None else twin(h2))
    out2 = []
    for q in range(n_passes):
        kept = active * drawn(inner, B * n_rows * D, q, threshold).view(B, -1)
        gate = kept.view(B, n_rows, D).sum(1)
        y = x2 + x2[:, order] * gate
        out2.append(y * drawn(outer, B * D, q, threshold).view(B, D))
    weights2 = [] if twin is None else [twin.weight, twin.bias]
    grads2 = torch.autograd.grad(out2, [h2, x2, *weights2], [g.double() for g in back])
    check_same([*out], out2, 1e-5)
    check_same([grads[0]], [grads2[0]], 1e-5 if dtype == torch.float32 else 5e-3)
    check_same([*grads[1:]], [*grads2[1:]], 1e-4)
    if norm is not None and twin is not None:
        torch.testing.assert_close(norm.running_mean.double(), twin.running_mean, atol=1e-6, rtol=0)
        torch.testing.assert_close(norm.running_var.double(), twin.running_var, atol=1e-5, rtol=0)
        assert norm.num_batches_tracked == twin.num_batches_tracked


@pytest.mark.parametrize("threshold", [0, 102])
@pytest.mark.parametrize("has_norm", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_are_those_of_torch(dtype: torch.dtype, has_norm: bool, threshold: int) -> None:
    torch.manual_seed(0)
    h = (torch.randn(B, D) + 1).to(dtype).requires_grad_()
    back = torch.randn(B, D).to(dtype)
    norm = norm_of(D) if has_norm else None
    seed = seeds_of(5)[0]
    torch.manual_seed(5)
    out = fused.activated(h, norm, threshold)
    weights = [] if norm is None else [norm.weight, norm.bias]
    grads = torch.autograd.grad(out, [h, *weights], back)

    h2 = h.detach().double().requires_grad_()
    twin = norm_of(D).double() if has_norm else None
    active = torch.relu(h2 if twin is None else twin(h2))
    out2 = active * drawn(seed, B * D, 0, threshold).view(B, D)
    weights2 = [] if twin is None else [twin.weight, twin.bias]
    grads2 = torch.autograd.grad(out2, [h2, *weights2], back.double())
    check_same([out, grads[0]], [out2, grads2[0]], 1e-5 if dtype == torch.float32 else 8e-3)
    check_same([*grads[1:]], [*grads2[1:]], 1e-4)


def test_sums_do_not_depend_on_threads() -> None:
    results = []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        torch.manual_seed(0)
        h = torch.randn(1000, 2 * D, requires_grad=True)
        x = torch.randn(1000, D, requires_grad=True)
        norm = norm_of(2 * D)
        out = fused.gated(h, x, torch.arange(D), norm, n_passes=2, threshold=26)
        grads = torch.autograd.grad(out, [h, x, norm.weight], [torch.ones_like(x)] * 2)
        results.append(b"".join(t.detach().numpy().tobytes() for t in (*out, *grads)))
    torch.set_num_threads(2)
    assert results[0] == results[1] == results[2]


def test_only_what_is_large_and_learns_is_swept() -> None:
    large = torch.zeros(1024, 1024)
    parts = (norm_of(1), None, nn.Dropout())
    assert fused.suits(large, *parts)
    assert not fused.suits(large[:10], *parts)
    assert not fused.suits(large.double(), *parts)
    with torch.no_grad():
        assert not fused.suits(large, *parts)
    assert not fused.suits(large, *parts, nn.Dropout().eval()), "a part is frozen"


@pytest.mark.parametrize("frozen", ["norm", "drop"])
def test_what_is_frozen_stays_so_in_large_batches(frozen: str) -> None:
    torch.manual_seed(0)
    layer = Layer(20, 300, 0.5, batch_norm=True, activation=nn.ReLU).train()
    gate = KhatriRaoLayer(20, 8, 2, dropout=0.5).train()
    for module, x in ((layer, torch.randn(2000, 20)), (gate, torch.randn(2000, 160))):
        getattr(module, frozen).eval()
        before = module.norm.running_mean.clone()
        dropped = module(x) == (0 if module is layer else x)
        assert torch.equal(module.norm.running_mean, before) == (frozen == "norm")
        if frozen == "drop" and module is layer:
            assert dropped.float().mean() < 0.6, "half are below 0, and none is dropped"


def test_what_learns_drops_without_gradients_too() -> None:
    torch.manual_seed(0)
    layer = Layer(20, 300, 0.5, batch_norm=False, activation=nn.ReLU).train()
    gate = KhatriRaoLayer(20, 8, 2, dropout=0.5, batch_norm=False).train()
    with torch.no_grad():
        for module, x in ((layer, torch.randn(2000, 20)), (gate, torch.randn(2000, 160))):
            share = (module(x) == 0).float().mean()
            module.eval()
            assert share > 0.4 + (module(x) == 0).float().mean() / 2


@pytest.mark.parametrize("has_norm", [False, True])
def test_what_is_no_number_stays_none(has_norm: bool) -> None:
    h, x = torch.randn(B, 2 * D), torch.randn(B, D)
    h[5, 3] = torch.nan
    norm = norm_of(2 * D) if has_norm else None
    out = fused.activated(h.requires_grad_(), norm, 0)
    assert out[5, 3].isnan()
    norm = norm_of(2 * D) if has_norm else None
    (out,) = fused.gated(h, x, torch.arange(D), norm, n_passes=1, threshold=0)
    assert out[5, 3].isnan()


@pytest.mark.parametrize("centre", [0.0, 100.0, 1e4])
def test_columns_far_from_zero_are_normalised(centre: float) -> None:
    """In float64 nothing is lost; in float32 a mean of squares would lose all."""
    torch.manual_seed(0)
    h = (centre + torch.randn(B, D)).requires_grad_()
    norm, twin = norm_of(D), norm_of(D).double()
    back = torch.randn(B, D)
    out = fused.activated(h, norm, 0)
    grads = torch.autograd.grad(out, [h, norm.weight], back)
    h2 = h.detach().double().requires_grad_()
    out2 = torch.relu(twin(h2))
    grads2 = torch.autograd.grad(out2, [h2, twin.weight], back.double())
    check_same([out, *grads], [out2, *grads2], 1e-4)
    torch.testing.assert_close(norm.running_var.double(), twin.running_var, rtol=1e-4, atol=0)
    torch.testing.assert_close(norm.running_mean.double(), twin.running_mean, rtol=1e-6, atol=1e-6)


def test_a_second_process_compiles_nothing() -> None:
    script = (
        "import torch; from etalage.layers import fused, kernels\n"
        "h = torch.randn(300, 24, requires_grad=True)\n"
        "fused.activated(h, torch.nn.BatchNorm1d(24), 26).sum().backward()\n"
        "for kernel in (kernels.moments, kernels.activate, kernels.activate_back):\n"
        "    assert sum(kernel.stats.cache_hits.values()) == 1, kernel\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_where_nothing_is_compiled_the_operations_of_torch_do_it() -> None:
    script = "from etalage.layers import fused; assert not fused.has_kernels()"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gate_that_judges_is_one_that_drops_nothing(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    h, x, order = torch.randn(B, 3 * D).to(dtype), torch.randn(B, D), torch.randperm(D)
    expected = x + x[:, order] * h.float().relu().view(B, 3, D).sum(1)
    torch.testing.assert_close(fused.judged_gate(h, x, order), expected)
    large = torch.zeros(1024, 1024)
    drop = nn.Dropout().eval()
    assert not fused.judges(large, drop), "there are gradients to be had"
    with torch.no_grad():
        assert fused.judges(large, drop)
        assert not fused.judges(large[:10], drop)
        assert not fused.judges(large, drop.train())


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_map_that_judges_is_that_of_torch(relu: bool, bias: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    linear = nn.Linear(31, 17, bias=bias).bfloat16()
    x = torch.randn(100, 31, generator=draw)
    with torch.no_grad():
        found = fused.mapped(linear, x.bfloat16(), relu=relu)
        exact = nn.functional.linear(x.bfloat16().float(), linear.weight.float())
        exact = exact + linear.bias.float() if bias else exact
    exact = exact.relu() if relu else exact
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-6)


def test_a_map_that_judges_keeps_what_is_no_number() -> None:
    linear = nn.Linear(31, 17).bfloat16()
    x = torch.zeros(100, 31, dtype=torch.bfloat16)
    x[3, 5] = torch.nan
    with torch.no_grad():
        found = fused.mapped(linear, x, relu=True)
    assert found.isnan().all(1).nonzero().tolist() == [[3]]
    assert found.isnan().sum() == 17


def test_a_map_that_learns_has_gradients() -> None:
    linear = nn.Linear(31, 17).bfloat16()
    fused.mapped(linear, torch.ones(4, 31, dtype=torch.bfloat16)).sum().backward()
    assert linear.weight.grad is not None
