"""What no figure says is tested; a claim counts the tests that fail."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from claims import record


def count_failures(family: str, tested: Mapping[str, Sequence[str]]) -> None:
    """Runs the tests of each promise, given as pytest takes them, and records what fails."""
    for what, places in tested.items():
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *places]
        began = time.process_time()
        said = subprocess.run(
            command, cwd=Path(__file__).parents[1], capture_output=True, text=True
        ).stdout
        counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", said)}
        failed = counts.get("failed", 0) + counts.get("error", 0)
        if not counts.get("passed"):
            sys.exit(f"the tests of {what} did not run:\n{said[-2000:]}")
        record(family, f"failed tests of {what}", failed, "",
               "<=0", seconds=time.process_time() - began)  # fmt: skip
