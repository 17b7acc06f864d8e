"""Requests are timed one by one, warm, and not for ever."""

import gc
import time

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
    assert gc.isenabled()


def test_slow_answers_are_cut_short() -> None:
    asked: list[int] = []

    def answer(request: int) -> None:
        asked.append(request)
        time.sleep(0.02)

    latency_ms(answer, list(range(1000)), max_seconds=0.1)
    assert len(asked) < 30
