"""Which pictures may be shown, and of which item? A folder that a shop takes over.

```
creatives.json   what each picture is of, the words it was made of, and its scores
ab12….png        the pictures, as they were made
```
Only what was accepted is in it, the best first.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etalage.artefact import Kind, sha256_of, whole_folder
from etalage.creative.generate import Outcome
from etalage.errors import BundleError

CREATIVES = Kind("folder of creatives", "creatives.json", "etalage_creatives")
FORMAT = 1
PICTURE = re.compile(r"[0-9a-f]{64}\.png")


@dataclass(frozen=True)
class Shown:
    """A picture that may be shown."""

    item: str | None
    """Id of what it is of, as the shop calls it."""
    words: str
    """The prompt it was made of."""
    picture: Path
    sha256: str
    least: float | None
    """The lowest score of its pairs; None where nobody judged."""


def save(outcomes: Iterable[tuple[str | None, Outcome]], folder: Path) -> int:
    """Writes the accepted pictures of (item, outcome), whole or not at all; returns how many.

    Raises:
        DataError: when `folder` holds something else.
        CapacityError: when the disk refuses; what was there is still there.
    """
    accepted = [(item, outcome) for item, outcome in outcomes if outcome.accepted]
    accepted.sort(key=lambda pair: -_least(pair[1]))  # stable: else as they were asked for
    with whole_folder(folder, CREATIVES) as draft:
        told, files = [], {}
        for item, outcome in accepted:
            creative, verdict = outcome.creative, outcome.verdict
            name = f"{creative.key}.png"
            shutil.copyfile(creative.picture, draft / name)
            files[name] = creative.sha256
            told.append(
                {
                    "item": item,
                    "picture": name,
                    "words": creative.request["prompt"],
                    "pairs": creative.request["pairs"],
                    "scores": None if verdict is None else verdict.told()["scores"],
                    "seed": creative.request["seed"],
                    "guidance": creative.request["guidance"],
                    "is_generated": True,
                }
            )
        facts = {"etalage_creatives": FORMAT, "files": files, "creatives": told}
        marker = json.dumps(facts, indent=1, ensure_ascii=False)
        (draft / CREATIVES.marker).write_text(marker, encoding="utf-8")
    return len(accepted)


def load(folder: Path) -> list[Shown]:
    """Reads what `save` wrote, the best first.

    Raises:
        BundleError: when it is missing, or not as it was written.
    """
    if not CREATIVES.is_at(folder):
        raise BundleError(
            f"{folder} is no folder of creatives; give the one that `etalage creative generate` "
            "left as creatives/"
        )
    try:
        facts = json.loads((folder / CREATIVES.marker).read_bytes())
        if facts["etalage_creatives"] != FORMAT:
            raise ValueError(f"it is of format {facts['etalage_creatives']}, not {FORMAT}")
        return [_read(folder, facts["files"], told) for told in facts["creatives"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder} is not as it was written ({error}); make it again with: etalage creative "
            "generate"
        ) from error


def _read(folder: Path, files: dict[str, str], told: dict[str, Any]) -> Shown:
    name, words, scores = told["picture"], told["words"], told["scores"]
    if not isinstance(name, str) or not PICTURE.fullmatch(name):
        raise ValueError(f"{name!a} is no name of a picture")
    if not isinstance(words, str) or not words.strip():
        raise ValueError(f"{name} has no words")
    item = told["item"]
    if sha256_of(folder / name) != files[name]:
        raise ValueError(f"{name} has changed")
    least = None if scores is None else min(float(score) for *_, score in scores)
    return Shown(None if item is None else str(item), words, folder / name, files[name], least)


def _least(outcome: Outcome) -> float:
    return 0.0 if outcome.verdict is None else outcome.verdict.least
