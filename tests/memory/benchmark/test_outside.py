"""A memory in a process of its own: its lines, its costs, and how it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.memory.benchmark.talks import ANN

from etalage.errors import DataError
from etalage.memory.benchmark.outside import Outside

MUG = ANN.questions[0]
LAST = """
import json, sys
kept = []
for n, line in enumerate(sys.stdin, 1):
    asked = json.loads(line)
    if asked["do"] == "write":
        kept += [said["id"] for said in asked["messages"]]
    if asked["do"] == "forget":
        kept = [name for name in kept if name not in asked["ids"]]
    print(json.dumps({"cpu_s": n, "ids": kept[::-1][: asked.get("k", 0)]}), flush=True)
open(sys.argv[-1] + "/ended", "w").close()
"""


def outside(script: str, folder: Path) -> Outside:
    return Outside([sys.executable, "-c", script], folder)


def test_it_writes_reads_forgets_and_ends(tmp_path: Path) -> None:
    memory = outside(LAST, tmp_path)
    memory.write("ann", ANN.messages)
    assert memory.read("ann", MUG, 2) == ["ann/2", "ann/1"]
    memory.forget("ann", ["ann/2"])
    assert memory.cpu_s() == 3
    assert memory.read("ann", MUG, 1) == ["ann/1"]
    memory.close()
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    "script",
    ["print('hello', flush=True); input()", "raise SystemExit(3)", "print('{}', flush=True)",
     "input(); print('{\"cpu_s\": 1, \"ids\": [1]}', flush=True)"],
)  # fmt: skip
def test_what_is_no_answer_is_said(script: str, tmp_path: Path) -> None:
    memory = outside(script, tmp_path)
    with pytest.raises(DataError, match="answer"):
        memory.read("ann", MUG, 1)
    memory.close()


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot start"):
        Outside([str(tmp_path / "nothing")], tmp_path)
