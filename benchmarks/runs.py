"""Runs that take long: each is kept as a line when it ends, and the same command goes on."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from etalage.artefact import append_line, whole_lines
from etalage.recipe.recipe import override

RECIPES = Path(__file__).parents[1] / "recipes"


def settings_of(recipe: str, changes: list[str]) -> dict[str, Any]:
    """Settings of the model that a recipe is named after, with some changed."""
    models = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text())["models"]
    settings = {"kind": recipe} | copy.deepcopy(models[recipe] or {})
    for change in changes:
        override(settings, change)
    return settings


def key_of(*made_of: Any) -> str:
    """Names a run by all it follows from."""
    text = json.dumps(list(made_of), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Runs:
    """Lines of runs that ended, in a file; each has a `key` and the `commit` of its code."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "results.jsonl"

    def known(self) -> dict[str, dict[str, Any]]:
        """Every run that ended, by its key."""
        return {line["key"]: line for _, line in whole_lines(self.path)}

    def keep(self, line: dict[str, Any]) -> None:
        """Adds one."""
        append_line(self.path, line)


def measured_at(found: list[dict[str, Any]]) -> str:
    """The commit of the last of some runs; ends where one is of code that no commit has."""
    dirty = [line for line in found if line["commit"].endswith("-dirty")]
    if dirty:
        sys.exit(f"{dirty[0]['row']} was run with code that no commit has; run it again")
    return str(found[-1]["commit"])
