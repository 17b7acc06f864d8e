"""The loop: killed and resumed it ends the same; what is wrong is said."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from etalage.errors import BundleError, EtalageError
from etalage.train.config import TrainingConfig
from etalage.train.context import TrainContext
from etalage.train.loop import schedule, train
from etalage.train.objectives import full_cross_entropy

SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np, torch
from etalage.train.config import TrainingConfig
from etalage.train.context import TrainContext
from etalage.train.loop import train

torch.manual_seed(5)
network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
x = torch.arange(80.0).reshape(20, 4).sin()

def batches(rng):
    for _ in range(5):
        yield torch.from_numpy(rng.integers(0, 20, 6))

def loss(rows):
    time.sleep(float(sys.argv[2]))
    return (network(x[rows]).squeeze(1) - x[rows].sum(1)).square().mean()

folder = Path(sys.argv[1])
config = TrainingConfig(epochs=12, learning_rate=0.05, schedule="cosine", patience=50)
train(network, batches, loss, n_steps=5, config=config, context=TrainContext(seed=3, folder=folder),
      validate=lambda: {"ndcg@10": float(-network(x).square().mean())})
torch.save(network.state_dict(), folder / "final.pt")
"""


def final_weights(folder: Path) -> bytes:
    state = torch.load(folder / "final.pt", weights_only=True)
    return b"".join(v.numpy().tobytes() for v in state.values())


def test_a_killed_run_resumes_to_the_very_same_weights(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([sys.executable, "-c", SCRIPT, str(whole), "0"], check=True)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(broken), "0.02"])
    log = broken / "log.jsonl"
    while not (log.exists() and len(log.read_text().splitlines()) >= 3):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.03)  # well within an epoch
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (broken / "final.pt").exists()
    subprocess.run([sys.executable, "-c", SCRIPT, str(broken), "0"], check=True)
    assert final_weights(broken) == final_weights(whole)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, 13))


def fit(
    config: TrainingConfig,
    context: TrainContext | None = None,
    values: list[float] | None = None,
    *,
    width: int = 2,
    constant: float = 0.0,
    pause: float = 0.0,
):
    torch.manual_seed(0)
    network = torch.nn.Linear(width, 1)
    network.register_buffer("constant", torch.tensor(constant), persistent=False)
    x = torch.eye(width)
    queue = list(values or [])

    def loss(batch: torch.Tensor) -> torch.Tensor:
        time.sleep(pause)
        return (network(batch) - 1).square().mean()

    report = train(
        network,
        lambda rng: [x] * 3,
        loss,
        n_steps=3,
        config=config,
        context=context or TrainContext(),
        validate=(lambda: {"ndcg@10": queue.pop(0)}) if values else None,
    )
    return network, report


def test_the_best_state_is_kept_and_patience_ends_the_run() -> None:
    values = [0.1, 0.4, 0.3, 0.2, 0.9]
    network, report = fit(TrainingConfig(epochs=5, patience=2), values=values)
    assert (report.best_epoch, report.epochs, report.metrics) == (2, 4, {"ndcg@10": 0.4})
    two_epochs, _ = fit(TrainingConfig(epochs=2))
    assert torch.equal(network.weight, two_epochs.weight)


def test_global_random_state_and_mode_are_left_alone() -> None:
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    network, _ = fit_without_seeding()
    assert torch.equal(torch.rand(1), expected)
    assert not network.training


def fit_without_seeding():
    with torch.random.fork_rng(devices=[]):
        network = torch.nn.Linear(2, 1)
    x = torch.eye(2)
    report = train(
        network, lambda rng: [x], lambda b: network(b).square().mean(), n_steps=1,
        config=TrainingConfig(epochs=1), context=TrainContext(),
    )  # fmt: skip
    return network, report


def test_a_loss_that_is_no_number_stops_with_advice() -> None:
    network = torch.nn.Linear(2, 1)
    with pytest.raises(EtalageError, match=r"became nan in epoch 1, by step 1.*learning_rate"):
        train(
            network, lambda rng: [0], lambda b: network.weight.sum() * float("nan"), n_steps=1,
            config=TrainingConfig(), context=TrainContext(),
        )  # fmt: skip


def test_a_monitor_that_is_not_measured_is_named() -> None:
    with pytest.raises(EtalageError, match=r"'auc' is not among.*ndcg@10"):
        fit(TrainingConfig(monitor="auc"), values=[0.1])


def test_a_checkpoint_of_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = TrainContext(folder=tmp_path, data_hash="abc", settings={"width": 4})
    once = TrainingConfig(epochs=1)
    fit(once, context)
    fit(once, context)
    for config, other, message in (
        (TrainingConfig(epochs=2), context, r"other settings \(training.epochs: 1, now 2\); rem"),
        (once, replace(context, seed=7), r"settings \(seed: 0, now 7\)"),
        (once, replace(context, settings={"width": 8}), r"settings \(width: 4, now 8\)"),
        (once, replace(context, data_hash="xyz"), r"other data \(abc, now xyz\); remove it"),
    ):
        with pytest.raises(BundleError, match=message):
            fit(config, other)
    with pytest.raises(BundleError, match=r"shapes \(weight: \[1, 2\], now \[1, 3\]\)"):
        fit(once, context, width=3)
    with pytest.raises(BundleError, match="other constants"):
        fit(once, context, constant=1.0)
    monkeypatch.setattr("etalage.train.loop.__version__", "9.9")
    with pytest.raises(BundleError, match=r"version of etalage \(0.*, now 9.9\)"):
        fit(once, context)


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    context = TrainContext(folder=tmp_path)
    fit(TrainingConfig(epochs=1), context)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    for broken in (b"", b"garbage", whole[:100], whole[:-3]):
        path.write_bytes(broken)
        with pytest.raises(BundleError, match=r"no checkpoint that can be read .*; remove it"):
            fit(TrainingConfig(epochs=1), context)
    save_file({"network.weight": torch.zeros(1)}, path)
    with pytest.raises(BundleError, match="no checkpoint that can be read"):
        fit(TrainingConfig(epochs=1), context)


def test_seconds_of_earlier_sessions_count(tmp_path: Path) -> None:
    """Two epochs of three pauses, then a session that finds nothing left to do."""
    config, context = TrainingConfig(epochs=2), TrainContext(folder=tmp_path)
    _, first = fit(config, context, pause=0.02)
    assert first.seconds >= 6 * 0.02
    _, second = fit(config, context, pause=0.02)
    # what comes after the last checkpoint is not in it, and takes its time on a busy machine
    assert second.seconds >= sum(row["seconds"] for row in first.history) >= 6 * 0.02
    assert second.cpu_seconds > 0


def test_the_schedule_warms_up_and_falls_to_zero() -> None:
    config = TrainingConfig(epochs=2, warmup_steps=4, schedule="cosine")
    rates = [schedule(step, 10, config) for step in range(21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert all(a >= b for a, b in pairwise(rates[4:]))


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_chunked_cross_entropy_is_the_plain_one(chunk: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(7, 4, requires_grad=True)
    weight = torch.randn(9, 4, requires_grad=True)
    targets = torch.randint(0, 9, (7,))
    plain = torch.nn.functional.cross_entropy(hidden @ weight.T, targets)
    expected = torch.autograd.grad(3 * plain, (hidden, weight))
    ours = full_cross_entropy(hidden, weight, targets, chunk)
    got = torch.autograd.grad(3 * ours, (hidden, weight))
    assert float(ours.detach()) == pytest.approx(float(plain.detach()), abs=1e-6)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)
