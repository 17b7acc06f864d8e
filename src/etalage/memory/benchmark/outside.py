"""How is a memory compared that lives elsewhere? By lines of JSON to a process of its own.

The process is given the folder for its files as its last word, reads one JSON object a line and
answers each with one line:

    {"do": "write", "user": "u1", "messages": [{"id", "time", "speaker", "text"}]} -> {"cpu_s": s}
    {"do": "read", "user": "u1", "question": "...", "time": ms, "k": 10} -> {"ids": [...], "cpu_s"}
    {"do": "forget", "user": "u1", "ids": ["m1"]} -> {"cpu_s": s}

`cpu_s` are the CPU seconds that the process has used; it ends when its input does. So a system
with versions of its own, or in another language, is measured beside ours in one run;
benchmarks/peers/mem0_memory.py is one.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etalage.errors import DataError
from etalage.memory.trajectory import Message, Question

PATIENCE_S = 10.0
"""How long a process may take to end."""


class Outside:
    """A memory in a process of its own.

    Args:
        command: that starts it.
        folder: where its files go, the last word of the command.
        environment: of the process; that of this one by default.

    Raises:
        DataError: where it cannot be started, ends too soon, or answers with what is no answer.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = [*command, str(folder)]
        self._cpu_s = 0.0
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=None if environment is None else dict(environment),
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            raise DataError(f"cannot start {self._command[0]}: {error}") from error

    def write(self, user: str, messages: Sequence[Message]) -> None:
        said = [
            {"id": each.id, "time": each.time, "speaker": each.speaker, "text": each.text}
            for each in messages
        ]
        self._ask({"do": "write", "user": user, "messages": said})

    def read(self, user: str, question: Question, k: int) -> list[str]:
        asked = {"question": question.text, "time": question.time, "k": k}
        found = self._ask({"do": "read", "user": user} | asked).get("ids")
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise DataError(f"{self._command[0]} answered a read without a list of ids: {found!r}")
        return found

    def forget(self, user: str, messages: Sequence[str]) -> None:
        self._ask({"do": "forget", "user": user, "ids": list(messages)})

    def cpu_s(self) -> float:
        return self._cpu_s

    def close(self) -> None:
        try:
            self._process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            answer = json.loads(line)
            self._cpu_s = float(answer["cpu_s"])
        except (BrokenPipeError, ValueError, KeyError, TypeError) as error:
            code = self._process.poll()
            ended = "" if code is None else f"; it ended with code {code}"
            raise DataError(
                f"{' '.join(self._command)} did not answer {what['do']!r} with a line of JSON that "
                f"has cpu_s; got {line[:200]!r}{ended}"
            ) from error
        return dict(answer)
