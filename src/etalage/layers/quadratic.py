"""What is a neuron that multiplies? The formats of QNN-alpha (KDD 2025, arXiv 2505.17999).

A quadratic neuron is a form in products of its inputs. Thirty formats T1 to T30 are compared
there; the best of them puts its activation between the linear map and the product ("mid"), and
with several rows it is the Khatri-Rao layer.

Letters: B rows, d width, R rows of the gate, H heads, F fields, D width of a field (d = F D).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from etalage.layers import fused
from etalage.layers.dropout import Dropout
from etalage.layers.norm import BatchNorm, merge

Maps = Sequence[Callable[[Tensor], Tensor]]
Format = tuple[tuple[tuple[float, float], ...], Callable[[Tensor, Maps], Tensor]]


def _parts(h: Tensor, n: int) -> tuple[Tensor, ...]:
    return h.chunk(n, -1)


def _t7(x: Tensor, maps: Maps) -> Tensor:
    one, two = _parts(maps[0](x), 2)
    return one * two + maps[1](x * x)


def _t8(x: Tensor, maps: Maps) -> Tensor:
    one, two, three = _parts(maps[0](x), 3)
    return one * two + three


def _t11(x: Tensor, maps: Maps) -> Tensor:
    one, two = _parts(maps[0](x), 2)
    return torch.cat([one, two * two], -1)


def _t12(x: Tensor, maps: Maps) -> Tensor:
    one, two = _parts(maps[0](x), 2)
    return torch.cat([one * two, maps[1](x * x)], -1)


def _t13(x: Tensor, maps: Maps) -> Tensor:
    one, two, three = _parts(maps[0](x), 3)
    return torch.cat([one * two, three], -1)


def _t14(x: Tensor, maps: Maps) -> Tensor:
    one, two = _parts(maps[0](x), 2)
    return torch.cat([one * two, two], -1)


def _t15(x: Tensor, maps: Maps) -> Tensor:
    u = maps[0](x)
    return torch.cat([u * u, u], -1)


def _t20(x: Tensor, maps: Maps) -> Tensor:
    h = maps[0](x)
    return x * h + h + x


def _two(join: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[Tensor, Maps], Tensor]:
    """A format of x and the two halves of its first map."""
    return lambda x, maps: join(x, *_parts(maps[0](x), 2))


FORMATS: dict[str, Format] = {
    "T3": (((1, 1),), lambda x, m: m[0](x * x)),
    "T4": (((1, 1),), lambda x, m: m[0](x).square()),
    "T5": (((1, 2),), _two(lambda x, a, b: a * b)),
    "T7": (((1, 2), (1, 1)), _t7),
    "T8": (((1, 3),), _t8),
    "T9": (((1, 1),), lambda x, m: x * m[0](x) + x),
    "T10": (((1, 2),), _two(lambda x, a, b: x * a + b)),
    "T11": (((1, 1),), _t11),
    "T12": (((1, 1), (1, 0.5)), _t12),
    "T13": (((1, 1.5),), _t13),
    "T14": (((1, 1),), _t14),
    "T15": (((1, 0.5),), _t15),
    "T16": (((1, 2),), _two(lambda x, a, b: x * (a * b) + x)),
    "T17": (((1, 2),), _two(lambda x, a, b: x * a + b + x)),
    "T18": (((1, 1), (2, 1)), lambda x, m: m[1](torch.cat([x * m[0](x), x], -1))),
    "T19": (((1, 1),), lambda x, m: x * relu(m[0](x)) + x),
    "T20": (((1, 1),), _t20),
    "T21": (((1, 1),), lambda x, m: (x * m[0](x)).square() + x),
    "T22": (((1, 1),), lambda x, m: x * m[0](x) + m[1](x)),
    "T23": (((1, 2),), _two(lambda x, a, b: a * b + x)),
    "T24": (((1, 2),), _two(lambda x, a, b: a * relu(b) + x)),
    "T25": (((1, 0.5), (0.5, 1)), lambda x, m: x * m[1](relu(m[0](x))) + x),
    "T26": (((1, 2),), _two(lambda x, a, b: x * (relu(a) + relu(b)) / 2 + x)),
    "T27": (((1, 2),), _two(lambda x, a, b: x * x * (relu(a) + relu(b)) / 2 + x)),
    "T28": (((1, 2),), _two(lambda x, a, b: x * (relu(a).square() + relu(b).square()) / 2 + x)),
    "T29": (((1, 2),), _two(lambda x, a, b: x * (relu(a) + relu(b).square()) / 2 + x)),
    "T30": (((1, 2),), _two(lambda x, a, b: (x * relu(a) + x * x * relu(b)) / 2 + x)),
    "T1": (((1, 1),), lambda x, m: m[1](x) + m[0](x)),
    "T2": ((), lambda x, m: m[0](x)),
    "T6": (((1, 1),), lambda x, m: m[1](x) + m[0](x * x)),
}
"""Format -> the linear maps it has, as multiples of d in and out, and what it computes of them.

T1, T2 and T6 have a full form besides, and T22 a learned scale; those come last in the maps.
"""
FULL = {"T1", "T2", "T6"}


class QuadraticNeuron(nn.Module):
    """One layer of neurons of a format; the equations are those of the paper's Table 1.

    >>> QuadraticNeuron("T19", 4)(torch.ones(2, 4)).shape
    torch.Size([2, 4])
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"the width of quadratic neurons must be even; got {width}")
        shapes, self.compute = FORMATS[kind]
        self.maps = nn.ModuleList(
            nn.Linear(int(before * width), int(after * width)) for before, after in shapes
        )
        if kind in FULL:
            self.maps.append(_FullForm(width))
        if kind == "T22":
            self.maps.append(_Scale(width))

    def forward(self, x: Tensor) -> Tensor:
        """x float (B, d) -> float (B, d)."""
        return self.compute(x, list(self.maps))


class _FullForm(nn.Module):
    """(xᵀ A_k x + a_k) for each of d outputs k."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.form = nn.Bilinear(width, width, width)

    def forward(self, x: Tensor) -> Tensor:
        form: Tensor = self.form(x, x)
        return form


class _Scale(nn.Module):
    """α ⊙ x with a learned α, 1 to begin with."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


class KhatriRaoLayer(nn.Module):
    """y = drop(x + P x ⊙ Σ_r drop(ReLU(BN(W_r x + b_r)))): the layer of QNN-alpha.

    The column-wise Kronecker product of one row of x with R rows of the gate, summed over the rows,
    is a product with their sum, so it is never held. Heads only say which coordinate of x meets
    which of the gate: P x is x in the order (H, F, D / H), the residual x in the order (F, D).

    The linear output stands in the order (R, d), the gate in the order (H, D / H) of each field as
    P x does; published weights have the order (H, R, d / H).
    """

    order: Tensor  # (d,)

    def __init__(
        self,
        n_fields: int,
        field_width: int,
        n_rows: int,
        n_heads: int = 1,
        *,
        dropout: float = 0.0,
        batch_norm: bool = True,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if field_width % n_heads:
            raise ValueError(f"a field of width {field_width} has no {n_heads} equal heads")
        width = n_fields * field_width
        self.n_rows, self.n_heads = n_rows, n_heads
        self.project = nn.Linear(width, n_rows * width)
        self.norm = BatchNorm(n_rows * width, momentum=momentum) if batch_norm else None
        self.drop = Dropout(dropout)
        places = torch.arange(width).view(n_fields, n_heads, field_width // n_heads)
        self.register_buffer("order", places.transpose(0, 1).reshape(-1), persistent=False)

    def passes(self, x: Tensor, n: int) -> tuple[Tensor, ...]:
        """n outputs, float (B, d) each, that drop different things; one matrix product for all."""
        h = fused.mapped(self.project, x)
        if self.norm is None and fused.judges(h, self.drop):
            return (fused.judged_gate(h, x.float(), self.order),) * n
        if fused.suits(h, self, self.norm, self.drop):
            return fused.gated(
                h,
                x.float(),
                self.order,
                self.norm,
                n_passes=n,
                threshold=self.drop.threshold,
            )
        activated = relu(h if self.norm is None else self.norm(h))
        return tuple(self.drop(self._combine(x, activated)) for _ in range(n))

    def _combine(self, x: Tensor, activated: Tensor) -> Tensor:
        """x + P x ⊙ Σ_r drop(activated), (B, d)."""
        b, width = x.shape
        gate = self.drop(activated).view(b, self.n_rows, width).sum(1)
        other = x if self.n_heads == 1 else x[:, self.order]
        return torch.addcmul(x, other, gate)

    def fold(self) -> None:
        """The batch norm into the map before it, for judging only."""
        if self.norm is not None:
            merge(self.project, self.norm)
            self.norm = None

    def forward(self, x: Tensor) -> Tensor:
        """x float (B, d) -> float (B, d)."""
        return self.passes(x, 1)[0]
