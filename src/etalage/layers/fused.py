"""How does a layer train at the speed of its matrix product? By one sweep over it, not ten.

On a processor the product of a click model's layer takes a tenth of the step; batch norm, ReLU,
dropout and what follows read and write it thirty times. Here they are two sweeps forth, one for the
moments, and two back; the gate of a network that only judges is one. Where numba is not there, or a
batch is small, the same layers go by the operations of torch.

Letters: B rows, Q passes, R rows of a gate, d width, C columns of the product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from etalage.layers.dropout import BYTES
from etalage.layers.threads import in_team, parts_of

SMALL = 1 << 18
"""Entries of a product from which on a sweep pays for the seconds of the first compilation."""

NO_SLOPE = 1e-30
"""Of a ReLU below 0: with a slope of 0 oneDNN makes 0 of NaN, and a run that diverged goes on."""

Floats = NDArray[np.float32]


def suits(h: Tensor, *parts: nn.Module | None) -> bool:
    """Whether a product (B, C) is swept here: where it learns, and each of the parts of its layer
    does; one that is frozen goes by torch."""
    learns = all(part is None or part.training for part in parts)
    return learns and torch.is_grad_enabled() and _is_for_kernels(h)


def _is_for_kernels(h: Tensor) -> bool:
    return (
        h.device.type == "cpu"
        and h.dtype in (torch.float32, torch.bfloat16)
        and h.numel() >= SMALL
        and not torch.compiler.is_compiling()
        and has_kernels()
    )


def judges(h: Tensor, drop: nn.Module) -> bool:
    """Whether the gate of a product (B, C) is summed here: where many rows are only judged."""
    return not (drop.training or torch.is_grad_enabled()) and _is_for_kernels(h)


def judged_gate(h: Tensor, x: Tensor, order: Tensor) -> Tensor:
    """x + x[order] ⊙ Σ_r ReLU(h_r), (B, d): what `gated` gives when nothing is dropped."""
    from etalage.layers import kernels

    out = torch.empty_like(x)
    arrays = (array_of(h), array_of(x), order.numpy(), array_of(out))
    in_team(lambda part: kernels.open_gate(*arrays, *part), parts_of(len(h)))
    return out


def mapped(linear: nn.Linear, x: Tensor, *, relu: bool = False) -> Tensor:
    """W x + b, or its ReLU, of columns (B, C).

    Where a map in bfloat16 judges, bias and ReLU are done as the product is written: as operations
    of their own they cost half as much as it does.
    """
    weight = linear.weight
    if (
        weight.dtype == torch.bfloat16
        and weight.device.type == "cpu"
        and not torch.is_grad_enabled()
        and _multiplies_bfloat16()
    ):
        after = ("leaky_relu", [NO_SLOPE], "") if relu else ("none", [], "")
        x = x.to(weight.dtype)
        swept: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, linear.bias, *after)
        return swept
    h: Tensor = linear(x)
    return h.relu_() if relu else h


@cache
def _multiplies_bfloat16() -> bool:
    """Whether oneDNN is there, and takes bfloat16 on this processor."""
    if not torch.backends.mkldnn.is_available():
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def activated(h: Tensor, norm: nn.BatchNorm1d | None, threshold: int) -> Tensor:
    """drop(ReLU(BN(h))), (B, C); `threshold` of 256 entries are dropped. Updates the norm."""
    out: Tensor = _Activated.apply(h, *_weights(norm), norm, threshold)
    return out


def gated(
    h: Tensor,
    x: Tensor,
    order: Tensor,
    norm: nn.BatchNorm1d | None,
    *,
    n_passes: int,
    threshold: int,
) -> tuple[Tensor, ...]:
    """drop(x + x[order] ⊙ Σ_r drop(ReLU(BN(h_r)))) of Q passes, each (B, d). Updates the norm.

    Args:
        h: the product, (B, R d), d columns of a row of the gate side by side.
        x: what it is a product of, float32 (B, d).
        order: which coordinate of x meets which of the gate, (d,).
        norm: batch norm of the columns.
        n_passes: 1 or 2; they see the same h and drop different things.
        threshold: of 256 entries, how many are dropped, in the gate and after it.
    """
    out: tuple[Tensor, ...] = _Gated.apply(h, x, *_weights(norm), norm, order, n_passes, threshold)
    return out


class _Activated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, norm: Any, threshold: int
    ) -> Any:
        sweep = _Sweep(h, norm, threshold)
        out = torch.empty_like(h)
        sweep.run("activate", sweep.h, *sweep.line, sweep.seeds[0], *sweep.drop, array_of(out))
        ctx.sweep = sweep
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        sweep: _Sweep = ctx.sweep
        of_h = torch.empty_like(grad)
        common = (sweep.h, *sweep.line, sweep.seeds[0], *sweep.drop, array_of(grad.contiguous()))
        weights = sweep.norm_grads("activate_sums", common)
        sweep.run("activate_back", *common, *sweep.back, array_of(of_h))
        return of_h, *weights, None, None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, x: Tensor, weight: Tensor, bias: Tensor, norm: Any, order: Tensor,
        n_passes: int, threshold: int,
    ) -> Any:  # fmt: skip
        sweep = _Sweep(h, norm, threshold)
        gates = np.empty((n_passes, *x.shape), np.float32)
        out = torch.empty(n_passes, *x.shape)
        ctx.common = (sweep.h, array_of(x.detach().contiguous()), order.numpy(), *sweep.line,
                      sweep.seeds, *sweep.drop)  # fmt: skip
        sweep.run("gate", *ctx.common, gates, array_of(out))
        ctx.sweep, ctx.gates, ctx.dtype = sweep, gates, h.dtype
        return tuple(out.unbind(0))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        sweep: _Sweep = ctx.sweep
        grad = array_of(torch.stack(grads))
        of_h, of_x = torch.empty(sweep.h.shape, dtype=ctx.dtype), torch.empty(grads[0].shape)
        weights = sweep.norm_grads("gate_sums", (*ctx.common, grad))
        sweep.run(
            "gate_back", *ctx.common, grad, ctx.gates, *sweep.back, array_of(of_h), array_of(of_x)
        )
        return of_h, of_x, *weights, *[None] * 4


class _Sweep:
    """What forth and back share: the batch norm as a line a column, and the draws."""

    def __init__(self, h: Tensor, norm: nn.BatchNorm1d | None, threshold: int) -> None:
        from etalage.layers import kernels

        h = h.detach().contiguous()
        self.h, self.has_norm, self.kernels = array_of(h), norm is not None, kernels
        self.n_rows, width = h.shape
        self.n_chunks = -(-self.n_rows // kernels.CHUNK)
        draws = torch.randint(2**32, (2,)).tolist()
        self.seeds = (np.uint32(draws[0]), np.uint32(draws[1]))
        self.drop = (np.uint32(threshold), np.float32(BYTES / (BYTES - threshold)))
        zero = np.zeros(width, np.float32)
        self.line = zero, np.ones(width, np.float32), zero  # p, a, s of z = a (h - p) + s
        if norm is not None:
            self._normalise(norm, h[0].float().numpy())

    def _normalise(self, norm: nn.BatchNorm1d, pivot: Floats) -> None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        sums, squares = self._sums("moments", self.h, pivot)
        self.mean = sums / self.n_rows  # of h - p
        variance = np.maximum(squares / self.n_rows - self.mean**2, 0)
        self.deviation = np.sqrt(variance + norm.eps)
        self.weight = array_of(norm.weight.detach()).astype(np.float64)
        slope = self.weight / self.deviation
        shift = array_of(norm.bias.detach()) - self.mean * slope
        self.line = pivot, _single(slope), _single(shift)
        with torch.no_grad():
            momentum = norm.momentum or 0.0
            for kept, now in (
                (norm.running_mean, self.mean + pivot),
                (norm.running_var, variance * self.n_rows / max(self.n_rows - 1, 1)),
            ):
                kept.lerp_(torch.from_numpy(_single(now)), momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += 1

    def norm_grads(self, kernel: str, common: tuple[Any, ...]) -> tuple[Any, Any]:
        """Gradients of the norm's weight and bias; leaves in `back` what makes that of h."""
        if not self.has_norm:
            zero, one, _ = self.line
            self.back = one, zero, zero
            return None, None
        sums, products = self._sums(kernel, *common)
        of_weight = (products - self.mean * sums) / self.deviation
        factor = self.weight / self.deviation
        slope = -factor * of_weight / self.deviation / self.n_rows
        three = -factor * sums / self.n_rows - slope * self.mean
        self.back = _single(factor), _single(slope), _single(three)
        return torch.from_numpy(_single(of_weight)), torch.from_numpy(_single(sums))

    def _sums(self, kernel: str, *arguments: Any) -> tuple[NDArray[np.float64], ...]:
        """Two sums over rows, (C,) each."""
        parts = [np.zeros((self.n_chunks, self.h.shape[1]), np.float32) for _ in range(2)]
        self.run(kernel, *arguments, *parts)
        return tuple(part.sum(0, dtype=np.float64) for part in parts)

    def run(self, kernel: str, *arguments: Any) -> None:
        """A kernel over all rows, whole chunks to a thread."""
        call: Callable[..., None] = getattr(self.kernels, kernel)
        in_team(lambda part: call(*arguments, *part), parts_of(self.n_rows, self.kernels.CHUNK))


def _weights(norm: nn.BatchNorm1d | None) -> tuple[Tensor | None, Tensor | None]:
    return (None, None) if norm is None else (norm.weight, norm.bias)


def array_of(tensor: Tensor) -> NDArray[Any]:
    """The same memory; bfloat16, which numpy does not have, as uint16."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16)
    return tensor.numpy()


def _single(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)


@cache
def has_kernels() -> bool:
    """Whether sweeps can be compiled and kept here."""
    try:
        import numba

        import etalage.layers.kernels  # noqa: F401
    except (ImportError, RuntimeError):  # no numba, or nowhere to keep what it compiles
        return False
    return not getattr(numba.config, "DISABLE_JIT", 0)
