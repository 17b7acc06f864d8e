"""Memory of a step stays with the process while it trains."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from etalage.train import memory
from etalage.train.config import TrainingConfig
from etalage.train.context import TrainContext
from etalage.train.loop import train

FAULTS = """
import resource, torch
from etalage.train import memory

def faults_of(n_steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n_steps):
        [torch.zeros(4 << 20) for _ in range(8)]  # 16 MB each, 4096 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with memory.kept():
    faults_of(3)  # until blocks lie where the next ones will
    print(faults_of(5))
"""


def test_blocks_are_taken_again_without_the_system() -> None:
    """In a process of its own: what other tests left in the heap may lie between the blocks. By
    itself glibc would learn to keep blocks so large, on some days."""
    if memory.c_function("mallopt") is None:
        pytest.skip("the allocator is not that of glibc")
    run = [sys.executable, "-c", FAULTS]
    as_it_begins = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=as_it_begins)
    assert int(done.stdout) < 5 * 8 * 4096 / 4


def test_memory_is_given_back_in_the_end() -> None:
    if memory.c_function("mallopt") is None:
        pytest.skip("the allocator is not that of glibc")

    def held() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    with memory.kept():
        blocks = [torch.ones(2 << 20) for _ in range(32)]  # 8 MB each
        most = held()
        del blocks
        assert held() > most - (64 << 20)
    assert held() < most - (192 << 20)


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "c_function", lambda name: None)
    with memory.kept():
        assert torch.zeros(3).sum() == 0


def test_large_tables_lie_on_large_pages() -> None:
    allowed = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not allowed.exists() or "[never]" in allowed.read_text():
        pytest.skip("this system has no large pages")

    def large() -> int:
        lines = Path("/proc/self/smaps").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))

    before = large()
    table = memory.on_large_pages(torch.empty(64 << 18)).zero_()  # 64 MB
    assert large() - before >= 32 << 10
    assert table.count_nonzero() == 0
    few = memory.on_large_pages(torch.empty(3))
    assert few.shape == (3,)


@pytest.mark.parametrize(("given", "held"), [(None, "300"), ("64", "64")])
def test_few_programs_are_held_unless_someone_said_how_many(
    given: str | None, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.setenv(name, given) if given else monkeypatch.delenv(name, raising=False)
    memory.hold_few_programs()
    assert os.environ[name] == held
    monkeypatch.setenv(name, held)  # which is taken back after the test


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_products_in_bfloat16_alone_hold_few(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(memory, "hold_few_programs", lambda: asked.append(1))
    layer = torch.nn.Linear(2, 1)
    config = TrainingConfig(epochs=1, precision=precision)
    train(layer, lambda rng: [torch.ones(3, 2)], lambda rows: layer(rows).mean(), n_steps=1,
          config=config, context=TrainContext())  # fmt: skip
    assert bool(asked) == (precision == "bfloat16")
