"""Two processes under torchrun: one step of theirs is a step on both batches together."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from etalage.train.config import TrainingConfig
from etalage.train.context import TrainContext
from etalage.train.loop import train

SCRIPT = """
import os, sys
import numpy as np, torch
from tests.train.test_team import fit
weights = fit(batch_size=4)
np.save(f"{sys.argv[1]}/{os.environ['RANK']}.npy", weights)
"""


def fit(batch_size: int) -> np.ndarray:
    """Regression on 20 rows; the order of rows is that of the rows."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(20, 3)).astype(np.float32))
    y = x @ torch.tensor([1.0, -2.0, 3.0])
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 1)
    starts = range(0, 20, batch_size)

    def batches(rng: np.random.Generator) -> list[slice]:
        return [slice(s, s + batch_size) for s in starts]

    def loss(rows: slice) -> torch.Tensor:
        return ((network(x[rows])[:, 0] - y[rows]) ** 2).mean()

    config = TrainingConfig(epochs=5, learning_rate=0.05, monitor=None)
    train(network, batches, loss, n_steps=len(starts), config=config, context=TrainContext())
    return torch.cat([p.detach().ravel() for p in network.parameters()]).numpy()


def test_two_processes_step_as_one_with_batches_twice_as_large(tmp_path: Path) -> None:
    # 20 rows in fours are rounds of 8, 8 and 4: the last has a batch for one process only
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command += [str(tmp_path / "script.py"), str(tmp_path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (np.load(tmp_path / f"{rank}.npy") for rank in (0, 1))
    assert one.tolist() == two.tolist()
    np.testing.assert_allclose(one, fit(batch_size=8), atol=1e-5)
