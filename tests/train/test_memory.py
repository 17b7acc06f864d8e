"""Memory of a step stays with the process while it trains."""

import resource

import pytest
import torch

from etalage.train import memory


def faults_of(n: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        torch.zeros(4 << 20)  # 16 MB, 4096 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_blocks_are_taken_again_without_the_system() -> None:
    if memory._mallopt() is None:
        pytest.skip("the allocator is not that of glibc")
    with memory.kept():
        faults_of(1)
        assert faults_of(20) < 20 * 4096 / 4


def test_memory_is_given_back_in_the_end() -> None:
    if memory._mallopt() is None:
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
    monkeypatch.setattr(memory, "_mallopt", lambda: None)
    with memory.kept():
        assert torch.zeros(3).sum() == 0
