"""How does a selector outlive its process? As a folder of JSON and arrays, whole or not at all.

What is loaded chooses as what was saved would have: with the same generator, the same views.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from etalage.artefact import Kind, sha256_of, whole_folder
from etalage.creative.beliefs import Belief, BetaThompson
from etalage.creative.linear import LinearThompson, LinUCB
from etalage.creative.select import CreativeSelector, OpenView
from etalage.errors import BundleError, DataError

SELECTOR = Kind("creative selector", "selector.json", "creative_selector")
VERSION = 1
BELIEFS: dict[str, type[Belief]] = {
    belief.kind: belief for belief in (BetaThompson, LinearThompson, LinUCB)
}


def save(selector: CreativeSelector, folder: Path) -> None:
    """Writes a selector, its open views among it; a folder of another kind is left alone.

    Raises:
        DataError: when `folder` holds something else, or the belief is of no kind known here.
        CapacityError: when the disk refuses; what was there is still there.
    """
    if selector.belief.kind not in BELIEFS:
        raise DataError(
            f"a belief of kind {selector.belief.kind!r} could not be loaded; known are "
            f"{', '.join(BELIEFS)}"
        )
    told, arrays = selector.belief.state()
    views = selector.open_views
    rows = [view.row for view in views.values()]
    arrays = arrays | {"open_rows": np.stack(rows) if rows else np.zeros((0, 0))}
    with whole_folder(folder, SELECTOR) as draft:
        for name, values in arrays.items():
            np.save(draft / f"{name}.npy", values)
        marker = {
            "creative_selector": VERSION,
            "files": {f"{name}.npy": sha256_of(draft / f"{name}.npy") for name in arrays},
            "kind": selector.belief.kind,
            "belief": told,
            "cap": selector.cap,
            "floor": selector.floor,
            "window_s": selector.window_s,
            "n_views": selector.n_views,
            "open": [[n, v.creative, v.shown_at, v.clicked] for n, v in views.items()],
        }
        (draft / SELECTOR.marker).write_text(json.dumps(marker, indent=1, ensure_ascii=False))


def load(folder: Path) -> CreativeSelector:
    """Reads what `save` wrote.

    Raises:
        BundleError: when it is missing, of another version, or not as it was written.
    """
    if not SELECTOR.is_at(folder):
        raise BundleError(f"{folder} is no creative selector; give a folder that `save` wrote")
    try:
        marker = json.loads((folder / SELECTOR.marker).read_text())
        if marker["creative_selector"] != VERSION:
            raise BundleError(
                f"{folder} is of version {marker['creative_selector']}, and {VERSION} is read "
                "here; use the Etalage that wrote it"
            )
        return _read(folder, marker)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder} is not as it was written ({error}); take it from a copy"
        ) from error


def _read(folder: Path, marker: dict[str, Any]) -> CreativeSelector:
    arrays = {}
    for name, digest in marker["files"].items():
        if sha256_of(folder / name) != digest:
            raise ValueError(f"{name} has changed")
        arrays[name.removesuffix(".npy")] = np.load(folder / name, allow_pickle=False)
    belief = BELIEFS[marker["kind"]].restored(marker["belief"], arrays)
    limits = {name: marker[name] for name in ("cap", "floor", "window_s")}
    selector = CreativeSelector(belief, **limits)
    selector.n_views = marker["n_views"]
    selector.open_views = {
        n: OpenView(creative, row, shown_at, clicked)
        for (n, creative, shown_at, clicked), row in zip(
            marker["open"], arrays["open_rows"], strict=True
        )
    }
    return selector
