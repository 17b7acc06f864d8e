"""QNN-alpha as its paper's equations read: what a training step costs without any thought for it.

A table a field, two whole passes, the Khatri-Rao product held before it is summed, torch's own
dropout, Adam by lists of tensors. Rows lie in memory as tensors, so loading costs it nothing.

    python benchmarks/peers/paper_qnn.py JOB

JOB is JSON; `ctr_speed.py` writes it. Prints one JSON line.

Letters: B rows, F fields, D width of a field, d = F D, R rows of the gate, H heads.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cost import cost
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy as bce

WARM_UP = 3


class Layer(nn.Module):
    """y = x + Σ_r X ⊙ drop(ReLU(BN(W_r x + b_r))), by heads."""

    def __init__(self, n_fields: int, width: int, n_rows: int, n_heads: int, rate: float) -> None:
        super().__init__()
        d = n_fields * width
        self.n_fields, self.n_rows, self.n_heads = n_fields, n_rows, n_heads
        self.project, self.norm = nn.Linear(d, n_rows * d), nn.BatchNorm1d(n_rows * d)
        self.drop = nn.Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        b, d = x.shape
        h = torch.relu(self.norm(self.project(x)))
        gate = self.drop(h.view(b, self.n_heads, self.n_rows, d // self.n_heads))
        heads = torch.stack(x.view(b, self.n_fields, -1).chunk(self.n_heads, -1), 1)
        heads = heads.reshape(b, self.n_heads, 1, d // self.n_heads)
        product = torch.einsum("bhij,bhrj->bhirj", heads, gate)  # (B, H, 1, R, d / H)
        return product.sum((2, 3)).reshape(b, d) + x


class PaperQNN(nn.Module):
    """Tables, layers with dropout after each, and one linear map; gives probabilities (B,)."""

    def __init__(self, sizes: Sequence[int], settings: dict[str, Any]) -> None:
        super().__init__()
        width, rate = settings["width"], settings["dropout"]
        self.tables = nn.ModuleList(nn.Embedding(n, width, padding_idx=0) for n in sizes)
        self.layers = nn.ModuleList(
            Layer(len(sizes), width, settings["n_rows"], settings["n_heads"], rate)
            for _ in range(settings["n_layers"])
        )
        self.drop = nn.Dropout(rate)
        self.out = nn.Linear(len(sizes) * width, 1)

    def look_up(self, codes: Tensor) -> Tensor:
        """codes int64 (B, F) -> float (B, d)."""
        return torch.cat([table(codes[:, n]) for n, table in enumerate(self.tables)], 1)

    def read(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.drop(layer(x))
        return torch.sigmoid(self.out(x)).squeeze(1)

    def loss(self, codes: Tensor, clicks: Tensor, decay: float) -> Tensor:
        """The self-ensemble loss, and λ / 2 of all squared vectors."""
        x = self.look_up(codes)
        one, two = self.read(x), self.read(x)
        mean = (one + two) / 2
        teacher = mean.detach()
        misses = bce(mean, clicks) + bce(one, teacher) + bce(two, teacher)
        for table in self.tables:
            misses = misses + decay / 2 * torch.norm(table.weight, 2) ** 2
        return misses


def tensors(path: Path) -> tuple[Tensor, Tensor]:
    """Codes (B, F) and clicks (B,) of a file."""
    with np.load(path) as columns:
        names = sorted(name for name in columns if name != "label")
        codes = np.column_stack([columns[name] for name in names])
        return torch.from_numpy(codes), torch.from_numpy(columns["label"]).float()


def main(job: dict[str, Any]) -> None:
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    settings, size, seconds = job["settings"], job["batch_size"], job["seconds"]
    codes, clicks = tensors(Path(job["folder"]) / "train.npz")
    asked, _ = tensors(Path(job["folder"]) / "valid.npz")
    model = PaperQNN(job["sizes"], settings)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=True)

    def epoch(n_steps: int | None = None) -> None:
        model.train()
        for rows in torch.randperm(len(codes)).split(size)[:n_steps]:
            adam.zero_grad()
            model.loss(codes[rows], clicks[rows], settings["table_decay"]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            adam.step()

    @torch.no_grad()
    def score() -> None:
        model.eval()
        for batch in asked.split(size):
            model.read(model.look_up(batch))

    epoch(WARM_UP)
    wall, cpu = cost(epoch, seconds)
    scored, _ = cost(score, seconds / 3)
    print(
        json.dumps(
            {
                "n_parameters": sum(p.numel() for p in model.parameters()),
                "train": len(codes) / wall,
                "train_cpu": len(codes) / cpu,
                "score": len(asked) / scored,
            }
        )
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
