"""What does a server ask of a generator? The newest state of a history, and what codes say to it.

Only the form that reads one vector an item can be served: its blocks read a history once, and
writing a code is a small network over one row a beam. Letters: N items, L history length, D width,
K beams, T tokens, l levels.

```
encoder.onnx       history int64 (1, L), without padding -> state float32 (1, D)
item_vectors.npy   what each item's codes say together, float32 (N, D)
codes.npy          int32 (N, l)
writer.onnx        said float32 (K, D) -> ready float32 (K, D)
writer.npz         said, table (T, D), levels (l, D), firsts (l + 1,), softmax, n_beams
```
At level l said is state + levels[l] + the sum over the codes c_j written of said[firsts[j] + c_j],
and the logit of code c is ready · table[firsts[l] + c].
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from etalage.errors import RecipeError
from etalage.layers.attention import CausalBlock
from etalage.models.generative.network import START
from etalage.models.generative.residual import ResidualNetwork
from etalage.models.onnx import export_network
from etalage.models.sequential.served import Newest

if TYPE_CHECKING:
    from etalage.models.generative.tiger import TIGER, TIGERConfig

ITEMS_AT_ONCE = 2**13
"""Items whose vectors are made at once; what they are made of is many times as wide."""


def check_form(config: TIGERConfig) -> None:
    """Raises RecipeError for a network that cannot be served."""
    if config.network != "residual":
        raise RecipeError(
            f"{config.kind} with network={config.network!r} cannot be served: what it reads grows "
            "with every code it writes; choose network: residual, whose beams share one state"
        )


def export_generator(model: TIGER, folder: Path) -> None:
    """Writes what a server reads of a fitted generator; RecipeError for a form it cannot read."""
    check_form(model.config)
    model.check_fitted()
    network = cast(ResidualNetwork, model.network)
    table = network.table.weight.detach()
    with torch.no_grad():
        parts = torch.arange(model.n_items).split(ITEMS_AT_ONCE)
        vectors = torch.cat([network.vectors(part) for part in parts])  # (N, D)
    history = {"history": (torch.arange(model.config.max_length) % model.n_items)[None]}
    reader = Reader(network, vectors)
    export_network(reader, history, "state", folder / "encoder.onnx", free_length="history")
    np.save(folder / "item_vectors.npy", vectors.numpy())
    np.save(folder / "codes.npy", network.codes)
    said = {"said": torch.zeros((2, model.config.width))}
    export_network(Ready(network), said, "ready", folder / "writer.onnx")
    np.savez(
        folder / "writer.npz",
        said=network.said.weight.detach().numpy(),
        table=table.numpy(),
        levels=network.levels.weight.detach().numpy(),
        firsts=np.array(network.firsts, dtype=np.int32),
        softmax=np.array(model.config.softmax),
        n_beams=np.array(model.config.n_beams),
    )


class Reader(Newest):
    """The state after the newest item; a learned start stands before the first one."""

    start: Tensor

    def __init__(self, network: ResidualNetwork, vectors: Tensor) -> None:
        """Reads items as vectors (N, D), which are made once for all."""
        blocks = cast(list[CausalBlock], list(network.blocks))
        items = nn.Embedding.from_pretrained(vectors)
        super().__init__(items, network.places, blocks, network.norm_read)
        start = network.table.weight.detach()[START : START + 1]
        self.register_buffer("start", start, persistent=False)

    def rows(self, items: Tensor) -> Tensor:
        """What the blocks read, float (1 + L, D)."""
        read = torch.cat([self.start, self.items(items)])
        return read + self.places.weight[: read.shape[0]]


class Ready(nn.Module):
    """What was said, made ready to be held against the codes of a level."""

    def __init__(self, network: ResidualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, said: Tensor) -> Tensor:
        """said float (K, D) -> float (K, D)."""
        return self.network.ready(said)
