"""Requests are timed one by one, warm, and not for ever."""

import gc
import time

import pytest

from etalage.errors import DataError
from etalage.evaluate.latency import latency_ms


def test_each_request_is_answered_and_timed() -> None:
    asked: list[int] = []

    def answer(request: int) -> None:
        asked.append(request)
        time.sleep(0.02 if request == 29 else 0.001)

    found = latency_ms(answer, list(range(30)))
    assert asked == [*range(10), *range(30)]
    assert 1 <= found["p50"] <= found["p90"] <= found["p99"]
    assert found["p99"] > 10
    assert found["cpu"] < found["p50"]
    assert found["per_second"] < 1000 / 1.5
    assert gc.isenabled()


def test_slow_answers_are_cut_short() -> None:
    asked: list[int] = []

    def answer(request: int) -> None:
        asked.append(request)
        time.sleep(0.02)

    latency_ms(answer, list(range(1000)), max_seconds=0.1)
    assert len(asked) < 30


def test_a_failing_answer_leaves_the_collector_on() -> None:
    def answer(request: int) -> None:
        if len(asked) > 15:
            raise RuntimeError("the model is gone")
        asked.append(request)

    asked: list[int] = []
    with pytest.raises(RuntimeError):
        latency_ms(answer, list(range(20)))
    assert gc.isenabled()


def test_nothing_to_time_is_refused() -> None:
    with pytest.raises(DataError, match="no requests"):
        latency_ms(id, [])
