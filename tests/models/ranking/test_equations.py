"""Every network against its published equation, evaluated row by row in numpy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from etalage.models.ranking.looked import Looked
from etalage.models.ranking.network import Columns, RankingNetwork
from etalage.models.registry import RANKERS, model_type

Array = NDArray[np.float64]
COLUMNS = Columns((5, 4, 3), 2, 3)
N_ROWS, WIDTH = 6, 4


def built(kind: str, **settings: object) -> tuple[RankingNetwork, Looked]:
    """A network whose every weight and statistic is random, and what it reads of a batch."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = model_type(kind)
    width = {} if kind == "lr" else {"width": WIDTH}
    network = model.network_type(COLUMNS, model.config_type(**width, **settings)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.7)
        for table in network.tables:
            table[0] = 0
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    codes = [torch.from_numpy(rng.integers(0, size, N_ROWS)) for size in COLUMNS.sizes]
    numbers = torch.from_numpy(rng.normal(size=(N_ROWS, 2)))
    history = torch.from_numpy(rng.integers(-1, 4, (N_ROWS, 3)))
    return network, network.look_up(torch.stack(codes, 1), numbers, history)


def of(parameter: torch.Tensor) -> Array:
    return parameter.detach().numpy()


def linear(layer: nn.Linear, x: Array) -> Array:
    return of(layer.weight) @ x + (0 if layer.bias is None else of(layer.bias))


def up(x: Array) -> Array:
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def normal(norm: nn.Module, x: Array) -> Array:
    if isinstance(norm, nn.LayerNorm):
        mean, var = x.mean(), x.var()
    elif isinstance(norm, nn.BatchNorm1d):
        mean, var = of(norm.running_mean), of(norm.running_var)
    else:
        return x
    return (x - mean) / np.sqrt(var + norm.eps) * of(norm.weight) + of(norm.bias)


def mlp(layers: nn.Module, x: Array) -> Array:
    for layer in layers:
        if isinstance(layer, nn.Linear):
            x = linear(layer, x)
            continue
        x = linear(layer.linear, x)
        x = x if layer.norm is None else normal(layer.norm, x)
        leak = of(layer.activation.weight) if isinstance(layer.activation, nn.PReLU) else 0
        x = np.where(x > 0, x, leak * x)
    return x


def pairs(v: Array) -> float:
    return sum(v[i] @ v[j] for i in range(len(v)) for j in range(i))


def cin(module: nn.Module, v: Array) -> Array:
    state, out = v, []
    for layer in module.layers:
        weight, bias = of(layer.weight), of(layer.bias)
        new = np.tile(bias[:, None], v.shape[1])
        for h in range(len(new)):
            for i in range(len(state)):
                for j in range(len(v)):
                    new[h] += weight[h, i * len(v) + j] * state[i] * v[j]
        state = new
        out += [vector.sum() for vector in new]
    return np.array(out)


class Row:
    """What a network reads of one row, as numpy."""

    def __init__(self, x: Looked, b: int) -> None:
        self.v, self.terms, self.past = of(x.fields[b]), of(x.terms[b]), of(x.past[b])
        self.numbers = of(x.numbers[b])
        self.x = np.concatenate([self.v.ravel(), self.numbers])


def lr(n: RankingNetwork, r: Row) -> float:
    return of(n.out.bias)[0] + r.v[:3].sum() + r.v[4:].sum()  # all but the history


def fm(n: RankingNetwork, r: Row) -> float:
    return of(n.out.bias)[0] + r.terms.sum() + pairs(r.v)


def dnn(n: RankingNetwork, r: Row) -> float:
    return linear(n.out, mlp(n.deep, r.x))[0]


def wide_deep(n: RankingNetwork, r: Row) -> float:
    return dnn(n, r) + r.terms.sum()


def deepfm(n: RankingNetwork, r: Row) -> float:
    return wide_deep(n, r) + pairs(r.v)


def xdeepfm(n: RankingNetwork, r: Row) -> float:
    return wide_deep(n, r) + linear(n.cin_out, cin(n.cin, r.v))[0]


def dcn(n: RankingNetwork, r: Row) -> float:
    state = r.x
    for layer, bias in zip(n.cross.layers, of(n.cross.biases), strict=True):
        state = r.x * (state @ of(layer.weight)[0]) + bias + state
    return linear(n.out, np.concatenate([state, mlp(n.deep, r.x)]))[0]


def dcn_v2(n: RankingNetwork, r: Row) -> float:
    state = r.x
    for layer in n.cross.layers:
        state = r.x * linear(layer, state) + state
    return linear(n.out, np.concatenate([state, mlp(n.deep, r.x)]))[0]


def gdcn(n: RankingNetwork, r: Row) -> float:
    state = r.x
    for layer, gate in zip(n.cross.layers, n.cross.gates, strict=True):
        state = r.x * linear(layer, state) * sigmoid(linear(gate, state)) + state
    if n.is_stacked:
        return linear(n.out, mlp(n.deep, state))[0]
    return linear(n.out, np.concatenate([state, mlp(n.deep, r.x)]))[0]


def autoint(n: RankingNetwork, r: Row) -> float:
    fields = r.v
    for layer in n.attention:
        width = layer.query.weight.shape[0] // layer.n_heads
        new = []
        for m in range(len(fields)):
            parts = []
            for h in range(layer.n_heads):
                rows = slice(h * width, (h + 1) * width)
                query, key, value = (
                    of(map_.weight)[rows] for map_ in (layer.query, layer.key, layer.value)
                )
                powers = np.array([np.exp((query @ fields[m]) @ (key @ e)) for e in fields])
                shares = powers / powers.sum()
                parts.append(sum(a * (value @ e) for a, e in zip(shares, fields, strict=True)))
            residual = fields[m]
            if isinstance(layer.residual, nn.Linear):
                residual = of(layer.residual.weight) @ residual
            new.append(up(normal(layer.norm, np.concatenate(parts) + residual)))
        fields = np.array(new)
    logit = linear(n.out, fields.ravel())[0]
    if n.deep is not None:
        logit += linear(n.deep[1], mlp(n.deep[0], r.x))[0]
    return logit


def masknet(n: RankingNetwork, r: Row) -> float:
    fields = r.v.ravel()
    state = fields
    if n.norms is not None:
        normals = [normal(norm, e) for norm, e in zip(n.norms, r.v, strict=True)]
        state = np.concatenate(normals)

    def block(module: nn.Module, below: Array) -> Array:
        mask = linear(module.mask[2], up(linear(module.mask[0], fields)))
        return up(normal(module.norm, of(module.map.weight) @ (below * mask)))

    if n.is_serial:
        for module in n.blocks:
            state = block(module, state)
    else:
        state = np.concatenate([block(module, state) for module in n.blocks])
    return linear(n.out, mlp(n.deep, state))[0]


def finalmlp(n: RankingNetwork, r: Row) -> float:
    ends = []
    for stream, gate in zip(n.streams, n.gates, strict=True):
        if gate.field is None:
            opened = of(gate.constant)
        else:
            opened = linear(gate.gate[1], mlp(gate.gate[0], r.v[gate.field]))
        ends.append(mlp(stream, r.x * 2 * sigmoid(opened)))
    one, two = ends
    logit = linear(n.out, np.concatenate(ends))[0]
    p, q = len(one) // n.n_heads, len(two) // n.n_heads
    for k, weight in enumerate(of(n.products)):
        logit += one[k * p : (k + 1) * p] @ weight @ two[k * q : (k + 1) * q]
    return logit


def finalnet(n: RankingNetwork, r: Row) -> float:
    def block(layers: nn.Sequential, x: Array) -> Array:
        for layer in layers:
            h = linear(layer.map, x)
            half = len(h) // 2
            x = up(normal(layer.rest[0], np.concatenate([h[:half], h[:half] * h[half:]])))
        return x

    gates = of(n.gate.weight) @ r.v + of(n.gate.bias)
    first = linear(n.out, block(n.blocks[0], np.concatenate([r.v, r.v * gates]).ravel()))[0]
    if n.second_out is None:
        return first
    second = linear(n.second_out, block(n.blocks[1], r.v.ravel())) + of(n.out.bias)
    return (first + second[0]) / 2


def din(n: RankingNetwork, r: Row) -> float:
    interest = np.zeros(WIDTH)
    query = r.v[0]
    for key in r.past:
        pair = np.concatenate([query, key, query - key, query * key])
        interest += linear(n.pool.weigh[1], mlp(n.pool.weigh[0], pair))[0] * key
    return linear(n.out, mlp(n.deep, np.concatenate([r.v[:-1].ravel(), interest, r.numbers])))[0]


def qnn(n: RankingNetwork, r: Row) -> float:
    start = np.concatenate([r.v.ravel(), linear(n.numbers, r.numbers)])
    state = start
    for layer in n.layers:
        gate = up(normal(layer.norm, linear(layer.project, state)))
        state = state + state * gate.reshape(-1, len(state)).sum(0)
    fields = start.reshape(-1, WIDTH)
    wide = 0.0
    if n.union == "dcn_v2":
        crossed = start
        for layer, norm in zip(n.cross.layers, n.cross.norms, strict=True):
            crossed = crossed + start * up(normal(norm, linear(layer, crossed)))
        state = np.concatenate([state, crossed])
    elif n.union == "deepfm":
        wide = (r.terms.sum() + pairs(fields)) / 2
    elif n.union == "xdeepfm":
        wide = r.terms.sum() + linear(n.products[1], cin(n.products[0], fields))[0]
    return linear(n.out, state)[0] + wide


CASES: list[tuple[Callable[[RankingNetwork, Row], float], dict[str, object]]] = [
    (lr, {}),
    (fm, {}),
    (dnn, {"hidden": (5, 3), "batch_norm": True}),
    (dnn, {"hidden": ()}),
    (wide_deep, {"hidden": (5, 3)}),
    (deepfm, {"hidden": (5, 3)}),
    (xdeepfm, {"hidden": (5,), "cin": (3, 2)}),
    (dcn, {"hidden": (5,), "n_crosses": 2}),
    (dcn_v2, {"hidden": (5,), "n_crosses": 2}),
    (gdcn, {"hidden": (5,), "n_crosses": 2}),
    (gdcn, {"hidden": (5,), "n_crosses": 2, "form": "stacked", "batch_norm": True}),
    (autoint, {"n_layers": 2, "attention_width": 6, "n_heads": 3}),
    (autoint, {"n_layers": 1, "attention_width": 4, "hidden": (5,), "layer_norm": True}),
    (masknet, {"hidden": (5,), "blocks": (3, 2)}),
    (masknet, {"hidden": (), "blocks": (3, 2), "form": "serial", "normalise_fields": False}),
    (finalmlp, {"streams": ((5, 4), (6,)), "n_heads": 2, "gate_fields": (1, None)}),
    (finalnet, {"blocks": ((6, 4), (2,))}),
    (finalnet, {"blocks": ((4,),), "batch_norm": False}),
    (din, {"hidden": (5,), "attention_hidden": (3,)}),
    (qnn, {"n_rows": 2}),
    (qnn, {"n_rows": 2, "union": "dcn_v2"}),
    (qnn, {"n_rows": 2, "union": "deepfm"}),
    (qnn, {"n_rows": 2, "union": "xdeepfm", "cin": (3, 2)}),
]


@pytest.mark.parametrize(
    ("equation", "settings"), CASES, ids=[f"{e.__name__}-{n}" for n, (e, _) in enumerate(CASES)]
)
def test_a_network_is_its_equation(
    equation: Callable[[RankingNetwork, Row], float], settings: dict[str, object]
) -> None:
    network, looked = built(equation.__name__, **settings)
    expected = [equation(network, Row(looked, b)) for b in range(N_ROWS)]
    assert np.ptp(expected) > 0.01  # or there would be nothing to compare
    np.testing.assert_allclose(of(network.read(looked)), expected, rtol=1e-9, atol=1e-9)
    served = network.served()
    np.testing.assert_allclose(of(served.read(looked)), expected, rtol=1e-9, atol=1e-9)
    if equation is not finalnet:  # whose norms follow products
        assert not any(isinstance(module, nn.BatchNorm1d) for module in served.modules())


def test_every_network_has_an_equation() -> None:
    assert {equation.__name__ for equation, _ in CASES} == set(RANKERS) - {"counts", "ensemble"}
