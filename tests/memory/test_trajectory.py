"""Records of what was said: what is written is read, and other files are named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.errors import DataError
from etalage.memory.trajectory import (
    Fact,
    Message,
    Question,
    Trajectory,
    from_line,
    load,
    to_line,
    write,
)

NAMES = st.text(min_size=1, max_size=8)
FACTS = st.builds(Fact, NAMES, NAMES, st.one_of(NAMES, st.integers(-9, 9), st.none()))
MESSAGES = st.builds(
    Message,
    NAMES,
    st.integers(0, 2**53),
    st.sampled_from(["user", "assistant"]),
    st.text(),
    st.lists(FACTS, max_size=2).map(tuple),
)
SETS = st.lists(st.frozensets(NAMES, max_size=3), max_size=2).map(tuple)
QUESTIONS = st.builds(
    Question,
    NAMES,
    NAMES,
    st.text(),
    st.integers(0, 2**53),
    st.one_of(st.text(), st.none()),
    evidence=SETS,
    options=st.lists(NAMES, max_size=3).map(tuple),
    program=st.one_of(st.none(), st.just({"language": "en", "ask": {"op": "get"}})),
)
TRAJECTORIES = st.builds(
    Trajectory,
    NAMES,
    st.lists(MESSAGES, max_size=3).map(tuple),
    st.lists(QUESTIONS, max_size=2).map(tuple),
    NAMES,
)


@given(TRAJECTORIES)
def test_a_line_is_read_back_as_it_was(trajectory: Trajectory) -> None:
    line = to_line(trajectory)
    assert b"\n" not in line
    assert from_line(line) == trajectory
    assert to_line(from_line(line)) == line


def test_a_file_is_one_line_a_user(tmp_path: Path) -> None:
    rows = [Trajectory(f"u{n}", (Message("m", n, "user", "你好"),), (), "hand") for n in range(3)]
    assert write(tmp_path / "some.jsonl", iter(rows)) == 3
    assert (tmp_path / "some.jsonl").read_bytes().count(b"\n") == 3
    assert list(load(tmp_path / "some.jsonl")) == rows


def test_lines_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_bytes(to_line(Trajectory("u", (), (), "hand")) + b"\nnot json\n")
    rows = load(path)
    assert next(rows).user == "u"
    with pytest.raises(DataError, match=r"some.jsonl, line 2: expected one JSON object"):
        next(rows)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b'"text"',
        b'{"user": "u", "messages": [], "questions": []}',
        b'{"user": "u", "messages": [], "questions": [], "source": "s", "more": 1}',
        b'{"user": "u", "messages": [{"id": "m"}], "questions": [], "source": "s"}',
        b'{"user": "u", "messages": 3, "questions": [], "source": "s"}',
    ],
)
def test_what_is_no_trajectory_is_refused(line: bytes) -> None:
    with pytest.raises(DataError, match="not a trajectory"):
        from_line(line)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*gone.jsonl"):
        next(load(tmp_path / "gone.jsonl"))
