"""LoCoMo: turns, captions and evidence as they are told, counts as published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.realdata import need

from etalage.errors import DataError
from etalage.memory.benchmark.lexical import words
from etalage.memory.benchmark.locomo import card, load
from etalage.memory.benchmark.mechanisms import Lexical
from etalage.memory.benchmark.run import run


def one() -> dict[str, object]:
    turns = [{"speaker": "Ann", "dia_id": "D1:1", "text": "Look!", "blip_caption": "a red mug"},
             {"speaker": "Bob", "dia_id": "D1:2", "text": "Nice."}]  # fmt: skip
    later = [{"speaker": "Ann", "dia_id": "D10:1", "text": "Hello."}]
    return {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ann", "speaker_b": "Bob",
            "session_10_date_time": "9:05 am on 1 June, 2023", "session_10": later,
            "session_2_date_time": "1:56 pm on 8 May, 2023", "session_2": turns,
            "session_3_date_time": "1:56 pm on 9 May, 2023",
        },
        "qa": [
            {"question": "When?", "answer": 2022, "evidence": ["D1:1", "D:9"], "category": 2},
            {"question": "Why?", "evidence": [], "category": 5, "answer": "so"},
        ],
    }  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "locomo10.json").write_text(json.dumps([one()]))
    return tmp_path / "locomo10.json"


def test_a_conversation_becomes_a_trajectory(path: Path) -> None:
    (found,) = load(path)
    assert [message.text for message in found.messages] == [
        "Ann: Look! a red mug", "Bob: Nice.", "Ann: Hello."
    ]  # fmt: skip
    assert [message.time for message in found.messages] == [
        1683554160000, 1683554220000, 1685610300000
    ]  # fmt: skip
    when, why = found.questions
    assert (when.kind, when.answer) == ("temporal", "2022")
    assert when.evidence == (frozenset({"conv-1/D1:1"}),)
    assert when.meta["unknown"] == ["conv-1/D:9"]
    assert (why.kind, why.answer, why.evidence) == ("adversarial", None, ())
    assert card([found]) == {
        "n_conversations": 1, "n_turns": 3, "n_sessions": 2, "n_questions": 2, "n_judged": 1,
        "n_unknown_evidence": 1, "n_without_evidence": 1,
        "kinds": {"temporal": 1, "adversarial": 1},
    }  # fmt: skip


def test_what_is_no_locomo_is_said(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        next(load(tmp_path / "other.json"))
    for text in ("{", "[{}]", "[1]", json.dumps([one() | {"qa": [{"question": "x"}]}])):
        path.write_text(text)
        with pytest.raises(DataError, match="is no LoCoMo"):
            list(load(path))


@pytest.mark.realdata
def test_every_published_count_is_met() -> None:
    assert card(load(need("memory/locomo10.json"))) == {
        "n_conversations": 10,
        "n_turns": 5882,
        "n_sessions": 272,
        "n_questions": 1986,
        "n_judged": 1977,
        "n_unknown_evidence": 9,
        "n_without_evidence": 4,
        "kinds": {"multi_hop": 282, "temporal": 321, "open_domain": 96, "single_hop": 841,
                  "adversarial": 446},
    }  # fmt: skip


@pytest.mark.realdata
def test_words_alone_find_what_they_found_before(tmp_path: Path) -> None:
    """The floor, computed apart from this library: recall@5 by category."""
    users = load(need("memory/locomo10.json"))
    report = run(users, {"words": lambda _: Lexical(words)}, tmp_path / "rows.jsonl")
    floor = {"multi_hop": 0.146, "temporal": 0.539, "open_domain": 0.172, "single_hop": 0.532,
             "adversarial": 0.533}  # fmt: skip
    for kind, value in floor.items():
        assert report.value("words", "recall@5", kind) == pytest.approx(value, abs=5e-4), kind
