"""Where is the real data? Tests that need it skip, saying so, where it is absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("ETALAGE_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()


def need(path: str) -> Path:
    """Returns a file or folder of the data folder, or skips the test."""
    found = ROOT / path
    if not found.exists():
        pytest.skip(f"no {path} in the data folder (set ETALAGE_DATA)")
    return found
