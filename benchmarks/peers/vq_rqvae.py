"""RQ-VAE made of vector-quantize-pytorch: the codes it gives to the same vectors.

It lives in an environment of its own, so that the library need not have it:

    python -m venv benchmarks/peers/.venv-vq
    benchmarks/peers/.venv-vq/bin/pip install torch==2.13.0 numpy vector-quantize-pytorch==1.32.0

Encoder, decoder and codes are those of TIGER; codebooks by k-means first and moving averages then,
dead codes replaced, as its documentation advises. Reads an npy of vectors float32 (N, D), and
writes an npz with `codes` int32 (N, 3), the share of variance `explained`, and `seconds` of CPU.
"""

import sys
import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from vector_quantize_pytorch import ResidualVQ

EPOCHS, BATCH = 100, 1024


def mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def main(given: str, out: str, seed: int = 0) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    raw = torch.from_numpy(np.load(given).astype(np.float32))
    started = time.process_time()
    scale = (raw - raw.mean(0)).square().mean().sqrt()
    x = (raw - raw.mean(0)) / scale
    encoder, decoder = mlp(x.shape[1], 256, 128, 32), mlp(32, 128, 256, x.shape[1])
    codes = ResidualVQ(
        dim=32, num_quantizers=3, codebook_size=256, kmeans_init=True, kmeans_iters=10,
        threshold_ema_dead_code=2, commitment_weight=0.25,
    )  # fmt: skip
    model = nn.ModuleList([encoder, codes, decoder])
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            z, _, held = codes(encoder(x[rows])[None])
            loss = (x[rows] - decoder(z[0])).square().sum(1).mean() + held.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        z, found, _ = codes(encoder(x)[None])
        missed = (x - decoder(z[0])).square().sum() / x.square().sum()
    np.savez(out, codes=found[0].numpy().astype(np.int32), explained=1 - float(missed),
             seconds=time.process_time() - started)  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
