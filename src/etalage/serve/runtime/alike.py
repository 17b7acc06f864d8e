"""Which items are spelled alike? Those whose codes begin with the same prefix, such as 12-4."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from etalage.serve.runtime.engine import Engine

MOST_ALIKE = 12
"""Items that are shown of those that share a prefix."""
PREFIX = re.compile(r"[0-9]{1,6}(-[0-9]{1,6})*")
MOST_PREFIX = 100
"""Characters of a prefix that are read."""


@dataclass
class Alike:
    """What shares a prefix."""

    steps: list[tuple[str, int, int]] = field(default_factory=list)
    """Every prefix from the first code to the one asked about: itself, its last code, how many
    items share it."""
    items: list[int] = field(default_factory=list)
    """The most popular of those that share the prefix."""
    problem: str | None = None
    """Why there are none."""
    status: int = 200


def alike(engine: Engine, prefix: str) -> Alike:
    """Items whose codes begin as a typed prefix says."""
    codes = engine.catalogue.codes
    if codes is None:
        return Alike(problem="The items of this shop have no codes.", status=404)
    n_levels = codes.shape[1]
    form = f"A prefix is 1 to {n_levels} codes with hyphens between them, such as " + "-".join(
        map(str, codes[engine.popular[0], : min(2, n_levels)])
    )
    if len(prefix) > MOST_PREFIX or not PREFIX.fullmatch(prefix):
        return Alike(problem=f"{form}.", status=422)
    asked = [int(code) for code in prefix.split("-")]
    if len(asked) > n_levels:
        return Alike(problem=f"{form}; this one has {len(asked)}.", status=422)
    steps = []
    for n, code in enumerate(asked, start=1):
        begins = engine.catalogue.spelled(asked[:n])
        steps.append(("-".join(map(str, asked[:n])), code, int(begins.sum())))
    if not begins.any():
        known = [step for step in steps if step[2]]
        return Alike(known, problem=f"No item’s codes begin {prefix}.", status=404)
    found = engine.popular[begins[engine.popular]][:MOST_ALIKE]
    return Alike(steps, found.astype(np.int64).tolist())
