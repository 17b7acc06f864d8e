"""PyG's LightGCN layers on the same graph: CPU seconds of three, forth and back.

Runs in an environment of its own:

    python -m venv benchmarks/peers/.venv-pyg
    benchmarks/peers/.venv-pyg/bin/pip install torch==2.13.0 torch_geometric scipy
    .venv-pyg/bin/python pyg_propagation.py GRAPH.npz WIDTH LAYERS

Edges are given as `edge_index`, which is how PyG's own LightGCN example gives them. The file is a
sparse matrix, users x items. Prints one JSON line.
"""

import json
import sys

import numpy as np
import torch
from cost import cost
from scipy.sparse import load_npz
from torch_geometric.nn import LGConv

LEAST = 10.0
"""Seconds that are measured."""


def main() -> None:
    path, width, n_layers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    seen = load_npz(path).tocoo()
    n_users, n_items = seen.shape
    edges = np.stack([seen.row, seen.col + n_users])
    index = torch.from_numpy(np.concatenate([edges, edges[::-1]], 1).astype(np.int64))
    x = torch.randn(n_users + n_items, width, requires_grad=True)
    gradient = torch.randn(n_users + n_items, width)
    layer = LGConv()

    def step() -> None:
        layers = [x]
        for _ in range(n_layers):
            layers.append(layer(layers[-1], index))
        torch.autograd.grad(sum(layers) / (n_layers + 1), x, gradient)

    step()  # warms up
    _, cpu = cost(step, LEAST)
    print(json.dumps({"cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
