"""Claims about training generators: one pass over a history against a row for every prefix of it.

The same decoder, data, order of magnitude of a step and number of steps; only what a batch is
differs. Both see every position once an epoch, but for those older than the newest 51 of a person
(2 % of Beauty), which only prefixes ask about; so their losses must fall alike.

    python benchmarks/generative_training.py [--epochs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from claims import record
from etalage.artefact import sha256_of
from etalage.data.ingest import open_dataset
from etalage.data.split import leave_one_out
from etalage.models.generative.decoder import DecoderNetwork
from etalage.models.generative.tiger import TIGERConfig
from etalage.models.sequential.batches import Prefixes, Sequences
from etalage.tokenize.semantic_ids import SemanticIds

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data"))
PEOPLE = 128
"""Histories of a step; a step of prefixes has as many positions."""


class LastOnly(DecoderNetwork):
    """A row is a question about its last item, as where prefixes are rows of their own."""

    batches_of = Prefixes

    def asked(self, history: torch.Tensor) -> torch.Tensor:
        return torch.arange(history.shape[1]).expand_as(history) == history.shape[1] - 1


def published_ids() -> SemanticIds:
    """LETTER's ids of Beauty; the few items that share one are told apart."""
    named = json.loads((DATA / "codes" / "letter" / "Beauty.index.json").read_text())
    rows = [[int(t.split("_")[1][:-1]) for t in named[str(i)]] for i in range(len(named))]
    return SemanticIds.distinct(np.array(rows, dtype=np.int32), (256,) * 4)


def train(network: DecoderNetwork, sequences: Sequences, n_epochs: int) -> tuple[list, float]:
    """Mean loss of each epoch, and CPU seconds of one."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    losses, began = [], time.process_time()
    for epoch in range(n_epochs):
        total = n_asked = 0.0
        torch.manual_seed(epoch)
        for batch in sequences.batches(np.random.default_rng(epoch)):
            spelled = network.spell(batch)
            optimizer.zero_grad()
            spelled.surprise.backward()
            optimizer.step()
            total += spelled.surprise.item() * len(spelled.items)
            n_asked += len(spelled.items)
        losses.append(total / n_asked)
        print(type(network).__name__, epoch, round(losses[-1], 4), flush=True)
    return losses, (time.process_time() - began) / n_epochs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no data folder; set ETALAGE_DATA")
    path = DATA / "sequences" / "s3rec" / "beauty"
    log = leave_one_out(open_dataset(path).interactions).train
    ids = published_ids()
    config = TIGERConfig(network="decoder", width=64, n_layers=2, dropout=0.1, max_length=50)
    found = []
    for kind in (DecoderNetwork, LastOnly):
        torch.manual_seed(0)
        network = kind(ids, config)
        # a batch of prefixes is as many positions as a batch of histories has on average
        whole = Sequences(log.items, log.offsets, config.max_length, PEOPLE)
        n_positions = int((whole.stops - whole.starts).clip(max=config.max_length + 1).sum())
        size = PEOPLE if kind is DecoderNetwork else n_positions // whole.n_batches
        batches = kind.batches_of(log.items, log.offsets, config.max_length, size)
        found.append(train(network, batches, options.epochs))
    (ours, cpu), (theirs, their_cpu) = found
    common = {"seeds": [0], "data_hash": sha256_of(path / "sequences.txt")[:16]}
    common["seconds"] = (cpu + their_cpu) * options.epochs
    record("generative", "epoch of prefixes over epoch of histories, CPU-seconds",
           their_cpu / cpu, "x", ">=4", **common)  # fmt: skip
    apart = max(abs(a / b - 1) for a, b in zip(ours, theirs, strict=True))
    record("generative", "losses of the two apart, largest of the epochs", 100 * apart, "%",
           "<=3", **common)  # fmt: skip


if __name__ == "__main__":
    main()
