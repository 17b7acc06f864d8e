"""What does the demo run? The recipe beside this file, on the simulated shop or on your log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from etalage.recipe.recipe import Recipe, resolve

RECIPE = Path(__file__).with_name("demo.yaml")


def recipe(data: str | None, overrides: list[str] | None = None) -> Recipe:
    """The demo's recipe; with a log, `data.path` points at it and its name names the run."""
    tree: dict[str, Any] = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    if data is not None:
        tree["data"] = {"path": data}
        tree["name"] = Path(data).resolve().stem or tree["name"]
    return resolve(tree, overrides)
