"""MemDaily: rebuilt with every published count, its defects counted, and what is no MemDaily."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.memory.benchmark.talks import ANN
from tests.realdata import need

from etalage.errors import DataError
from etalage.memory.benchmark.defects import NAMES, defects, meant, medoid
from etalage.memory.benchmark.memdaily import KINDS, N_PARTS, card, load, said
from etalage.memory.trajectory import Message, Trajectory

SCOPES = ("roles", "events", "items", "places", "hybrid")
FEWER = ("comparative", "aggregative")
PARTS = [
    f"{n:02d}_{kind}_{scope}.json"
    for n, kind in enumerate(KINDS, 1)
    for scope in SCOPES
    if kind not in FEWER or scope not in ("items", "places")
]


def asked(question: str = "哪天？", answer: str = "2024年04月19日 周五 19:00") -> dict[str, object]:
    return {"qid": 0, "question": question, "answer": answer, "target_step_id": [1],
            "choices": dict.fromkeys("ABC", "x") | {"D": answer}, "ground_truth": "D",
            "time": "2024年04月02日 周二 07:46"}  # fmt: skip


def row(*messages: tuple[str, str], **question: str) -> dict[str, object]:
    said = [{"mid": n, "message": text, "time": time, "place": "广东深圳"}
            for n, (text, time) in enumerate(messages)]  # fmt: skip
    return {"tid": 0, "message_list": said, "question_list": [asked(**question)]}


WEEK = row(("我爱听音乐。", "2024年04月03日 周三 07:24"),
           ("会议在下周五晚上七点。", "2024年04月02日 周二 19:43"))  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Empty parts, but for the simple questions of two scopes at once."""
    for name in PARTS:
        (tmp_path / name).write_text("[]")
    failed = [row(("x", "2024年04月03日 周三 07:24"), question="[ERRORQ]"),
              row(("x", "2024年04月03日 周三 07:24"), answer="[ERRORA]")]  # fmt: skip
    (tmp_path / "01_simple_hybrid.json").write_text(json.dumps([*failed, WEEK]))
    return tmp_path


def test_a_record_becomes_a_trajectory(folder: Path) -> None:
    (found,) = load(folder)
    assert len(PARTS) == N_PARTS
    assert found.user == "simple-hybrid-000"
    assert found.messages[0].text == (
        "我爱听音乐。(消息地点 广东深圳, 消息时间 2024年04月03日 周三 07:24)"
    )
    assert said(found.messages[0]) == "我爱听音乐。"
    assert found.messages[1].time == 1712086980000  # 19:43 UTC
    (question,) = found.questions
    assert question.evidence == (frozenset({"simple-hybrid-000/1"}),)
    assert (question.options[3], question.meta["letter"]) == (question.answer, "D")
    # it is clocked before a message, and asked when that was said
    assert question.meta["clocked"] < question.time == found.messages[0].time


def test_its_defects_are_counted(folder: Path) -> None:
    """The message is of 2 April, so next Friday is the 12th; the answer says the 19th."""
    found = defects(load(folder))
    assert set(found) == set(NAMES)
    assert found["times_go_backwards"] == found["asked_before_last_message"] == 1
    assert found["relative_times"] == found["relative_times_a_week_off"] == 1
    assert found["failure_in_message"] == found["nonsense_option"] == 0


def test_data_without_them_has_none() -> None:
    """Two messages of one minute are in order."""
    twice = replace(ANN, messages=(ANN.messages[0], *ANN.messages))
    assert set(defects([ANN, twice]).values()) == {0}


@pytest.mark.parametrize(
    ("text", "day"),
    [("下周一", "2024-04-08"), ("下下周一", "2024-04-15"), ("下周日", "2024-04-14"),
     ("下周天", "2024-04-14")],
)  # fmt: skip
def test_next_week_is_that_of_the_message(text: str, day: str) -> None:
    sunday = 1712448000000  # 2024-04-07, the last day of its week
    found = meant(Message("m", sunday, "user", f"会议在{text}。"))
    assert found is not None
    assert found.date().isoformat() == day
    assert meant(Message("m", sunday, "user", "会议在周一。")) is None


def test_the_option_most_like_the_others() -> None:
    assert medoid(["abc", "abd", "abcd", "xyz"]) == 2
    assert medoid(["", "", "", ""]) == 0


def test_a_folder_without_all_parts_is_none(folder: Path) -> None:
    (folder / PARTS[0]).unlink()
    with pytest.raises(DataError, match="has 25 parts of MemDaily, expected 26"):
        next(load(folder))


@pytest.mark.parametrize("text", ["{", "[{}]", '[{"question_list": []}]', "[1]"])
def test_a_part_that_is_none_is_named(text: str, folder: Path) -> None:
    (folder / "06_noisy_items.json").write_text(text)
    with pytest.raises(DataError, match=r"06_noisy_items\.json is no part of MemDaily"):
        list(load(folder))


@pytest.fixture(scope="module")
def memdaily() -> list[Trajectory]:
    return list(load(need("memory/memdaily")))


@pytest.mark.realdata
def test_every_published_count_is_met(memdaily: list[Trajectory]) -> None:
    found = card(memdaily)
    questions = dict(zip(KINDS, (500, 500, 492, 462, 500, 500), strict=True))
    messages = dict(zip(KINDS, (4215, 4195, 3144, 5536, 4438, 4475), strict=True))
    assert (found["n_questions"], sum(questions.values())) == (questions, 2954)
    assert (found["n_messages"], sum(messages.values())) == (messages, 26_003)
    assert found["letters"] == {"A": 738, "B": 737, "C": 744, "D": 735}
    assert found["n_distinct_messages"] == 10_721
    assert found["characters_a_message"] == pytest.approx(22.1, abs=0.05)
    two = {kind: {2: 300, 4: 200} for kind in ("conditional", "post_processing", "noisy")}
    sizes = {"simple": {1: 200, 2: 170, 3: 130}, "comparative": {2: 198, 4: 294},
             "aggregative": {4: 187, 8: 275}} | two  # fmt: skip
    assert found["evidence_sizes"] == {
        f"{kind} {n}": count for kind, counts in sizes.items() for n, count in counts.items()
    }
    whole = {"roles": 100, "events": 100, "items": 50, "places": 50, "hybrid": 200}
    scopes = {"comparative": {"roles": 100, "events": 98, "hybrid": 294},
              "aggregative": {"roles": 89, "events": 98, "hybrid": 275}}  # fmt: skip
    assert found["scopes"] == {
        f"{kind} {scope}": n for kind in KINDS for scope, n in scopes.get(kind, whole).items()
    }


@pytest.mark.realdata
def test_its_known_defects_are_found(memdaily: list[Trajectory]) -> None:
    found = defects(memdaily)
    assert found == {
        "times_go_backwards": 188,
        "asked_before_last_message": 20,
        "failure_in_message": 2,
        "answer_twice_in_options": 7,
        "nonsense_option": 3,
        "relative_times": 27,
        "relative_times_a_week_off": 17,
        "medoid_hits": found["medoid_hits"],
    }
    simple = defects(each for each in memdaily if each.questions[0].kind == "simple")
    assert simple["medoid_hits"] / 500 == pytest.approx(0.724, abs=0.01)


@pytest.mark.realdata
def test_ids_and_options_are_whole(memdaily: list[Trajectory]) -> None:
    for each in memdaily:
        (question,) = each.questions
        assert question.evidence[0] <= {message.id for message in each.messages}
        assert question.options["ABCD".index(question.meta["letter"])] == question.answer
        assert question.time >= max(message.time for message in each.messages)
    assert max(Counter(each.user for each in memdaily).values()) == 1
