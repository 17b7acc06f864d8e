"""Parts of a loop, each in one of the threads of torch."""

import functools
import random
import signal
from itertools import pairwise

import pytest
import torch

from etalage.layers import threads


@pytest.mark.parametrize("has_team", [True, False])
def test_every_part_is_worked_on_once_and_errors_come_out(
    has_team: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert threads._parallel() is not None, "torch computes with OpenMP here"
    if not has_team:
        monkeypatch.setattr(threads, "_parallel", lambda: None)
    for n in (1, 2, 40):
        parts, done = [(k, k + 1) for k in range(n)], []
        threads.in_team(done.append, parts)
        assert sorted(done) == parts

    def fail(part: threads.Part) -> None:
        if part[0] == 3:
            raise MemoryError("part 3")

    with pytest.raises(MemoryError, match="part 3"):
        threads.in_team(fail, [(k, k + 1) for k in range(8)])


@pytest.mark.parametrize(("n_rows", "size"), [(1, 1), (7, 4), (1000, 256), (4096, 256)])
def test_parts_hold_all_rows_and_whole_chunks(n_rows: int, size: int) -> None:
    parts = threads.parts_of(n_rows, size)
    assert 1 <= len(parts) <= torch.get_num_threads()
    assert parts[0][0] == 0
    assert parts[-1][1] == n_rows
    for (_, end), (start, _) in pairwise(parts):
        assert end == start
        assert start % size == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_interrupt_is_raised_and_no_work_is_left_in_silence(n_threads: int) -> None:
    """At whatever moment it comes: Python looks for one as a thread enters its work, too."""

    armed: list[bool] = []

    def interrupt(*_: object) -> None:
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    before, n_before = signal.signal(signal.SIGALRM, interrupt), torch.get_num_threads()
    torch.set_num_threads(n_threads)
    draw, n_raised = random.Random(0), 0
    try:
        for _ in range(1500):
            done: list[threads.Part] = []
            work = functools.partial(_inner, done=done)
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-6, 3e-4))
            try:
                armed.append(True)
                threads.in_team(work, [(0, 4), (4, 8)])
                armed.clear()
                assert len(done) == 8
            except KeyboardInterrupt:
                n_raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        torch.set_num_threads(n_before)
    assert n_raised > 10


def _inner(part: threads.Part, done: list[threads.Part]) -> None:
    threads.in_team(done.append, [(n, n + 1) for n in range(*part)])
