"""RecTools' SASRec on the same sequences: seconds of CPU for an epoch and for ranking everyone.

Runs in an environment of its own:

    python -m venv benchmarks/peers/.venv-rectools
    benchmarks/peers/.venv-rectools/bin/pip install torch==2.13.0 'rectools[torch]==0.19.0'
    cd benchmarks/peers
    .venv-rectools/bin/python rectools_sasrec.py SEQUENCES [BATCHES]

Prints one JSON line; with BATCHES, training ends after so many, and only ranking counts. Sequences:
one user a line, items oldest first; the last two are left out of training, as in the leave-one-out
split of the other side.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet

warnings.simplefilter("ignore")
WIDTH, LENGTH, BATCH, EPOCHS = 64, 50, 128, 1


SPENT: list[float] = []
"""CPU seconds of each training epoch; here, because the model copies its trainer."""


class Clock(Callback):
    """Notes the CPU time of epochs."""

    def on_train_epoch_start(self, *_: object) -> None:
        self.began = time.process_time()

    def on_train_epoch_end(self, *_: object) -> None:
        SPENT.append(time.process_time() - self.began)


def main(path: Path, batches: int | None) -> None:
    torch.set_num_threads(1)
    rows = [line.split() for line in path.read_text().splitlines()]
    users = np.repeat([row[0] for row in rows], [len(row) - 3 for row in rows])
    items = np.concatenate([row[1:-2] for row in rows])
    times = np.concatenate([np.arange(len(row) - 3) for row in rows])
    frame = pd.DataFrame({Columns.User: users, Columns.Item: items, Columns.Weight: 1.0,
                          Columns.Datetime: pd.to_datetime(times, unit="s")})  # fmt: skip
    dataset = Dataset.construct(frame)

    def trainer() -> Trainer:
        return Trainer(
            limit_train_batches=batches, max_epochs=EPOCHS, min_epochs=EPOCHS,
            accelerator="cpu", devices=1, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            callbacks=[Clock()],
        )  # fmt: skip

    model = SASRecModel(
        n_factors=WIDTH, n_blocks=2, n_heads=2, session_max_len=LENGTH, loss="softmax",
        batch_size=BATCH, epochs=EPOCHS, lr=1e-3, dropout_rate=0.5, dataloader_num_workers=0,
        item_net_block_types=(IdEmbeddingsItemNet,), get_trainer_func=trainer, verbose=0,
        recommend_torch_device="cpu",
    )  # fmt: skip
    model.fit(dataset)
    everyone = np.unique(users)
    costs = []
    for _ in range(2):
        began = time.process_time()
        found = model.recommend(everyone, dataset, k=10, filter_viewed=True)
        costs.append(time.process_time() - began)
    print(
        json.dumps(
            {
                "users": len(everyone),
                "items": len(np.unique(items)),
                "epoch_cpu_seconds": min(SPENT),
                "rank_cpu_seconds": min(costs),
                "rows": len(found),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
