"""What goes to the server? A folder of ONNX, npy and JSON, each file with its hash.

```
manifest.json      format, name, versions, recipe, how requests are answered, sha256 of every file
items.json         ids, titles and categories of the catalogue
item_vectors.npy   float32 (N, D)
encoder.onnx       history int64 (1, any L), without padding -> state float32 (1, D)
scan.onnx          scores of all items from a state, in 8 bits       (optional, for many items)
writer.onnx        what a generator makes of codes written, with writer.npz and codes.npy;
                   without one, a score is state · item vector                       (optional)
popular.npy        items by popularity, for people without a history
codes.npy          semantic ids, int32 (N, levels)                                   (optional)
ranker.onnx        logits of candidates, with the folder features/                   (optional)
calibrator.json    logits to probabilities, and the fields it calibrates by          (optional)
visitors.json      stored histories                                                  (optional)
creatives/         generated pictures of items, each with its words                  (optional)
```
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from etalage.artefact import Kind, sha256_of, strangers, whole_folder
from etalage.errors import BundleError

FORMAT = 3
"""3: the encoder and the ranker read one history without padding."""
BUNDLE = Kind("bundle", "manifest.json", "etalage_bundle")
NEEDED = ("items.json", "item_vectors.npy", "encoder.onnx", "popular.npy")
SEALED = ("etalage_bundle", "library_version", "model_version", "created_utc", "files")
"""What a manifest says by itself."""
FACTS = ("name", "model_version", "history_length", "n_candidates", "order", "repeats")


def write_bundle(folder: Path, fill: Callable[[Path], None], facts: dict[str, Any]) -> None:
    """Writes a bundle whole, or not at all; one that is there is replaced in one step.

    Args:
        folder: of the bundle.
        fill: writes the files into the folder handed to it.
        facts: what the manifest says besides: `name`, `recipe`, `data_hash`, `history_length`,
            `n_candidates`, `order` ('retriever' or 'ranker', whose scores order the list) and
            `repeats` ('hide' or 'show' what a person took before).

    Raises:
        DataError: when the folder holds something else.
    """
    with whole_folder(folder, BUNDLE) as draft:
        fill(draft)
        _seal(draft, facts)


def change_bundle(folder: Path, change: Callable[[Path], None]) -> dict[str, Any]:
    """Writes a bundle again with some files changed, whole or not at all; returns its new manifest.

    Args:
        folder: of the bundle.
        change: writes files into the copy handed to it.

    Raises:
        BundleError: for a bundle that is not sound, or that another process writes meanwhile.
    """
    manifest = read_manifest(folder)
    with whole_folder(folder, BUNDLE) as draft:
        for name in manifest["files"]:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, draft / name)
        if read_manifest(folder) != manifest:  # the copy may be half of each
            raise BundleError(f"{folder} was written by another process meanwhile; do it again")
        change(draft)
        facts = {name: fact for name, fact in manifest.items() if name not in SEALED}
        return _seal(draft, facts)


def _seal(draft: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Writes the manifest of the files that lie in a folder, and returns it."""
    files: dict[str, dict[str, Any]] = {
        path.relative_to(draft).as_posix(): {
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
        }
        for path in sorted(draft.rglob("*"))
        if path.is_file()
    }
    whole = hashlib.sha256("".join(f["sha256"] for f in files.values()).encode())
    manifest = {
        "etalage_bundle": FORMAT,
        "library_version": version("etalage"),
        "model_version": whole.hexdigest()[:12],
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
        "files": files,
    }
    text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
    (draft / "manifest.json").write_bytes(text)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads a manifest and checks every file against it.

    Raises:
        BundleError: for a missing, cut, changed or left-over file, a bundle of another format, or
            a file that the system does not hand over (then with the system's error as its cause).
    """
    again = "export the bundle again with: etalage export"
    try:
        manifest: dict[str, Any] = orjson.loads((folder / "manifest.json").read_bytes())
        given = manifest.get("etalage_bundle", manifest.get("format"))  # as format 1 called it
        files = {n: (facts["bytes"], facts["sha256"]) for n, facts in manifest["files"].items()}
    except FileNotFoundError:
        raise BundleError(f"no bundle in {folder}: manifest.json is missing; {again}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{folder}/manifest.json cannot be read ({error}); {again}") from error
    if given != FORMAT:
        raise BundleError(
            f"{folder} has format {given}; this version reads {FORMAT}; remove the folder, then "
            f"{again}"
        )
    for name in NEEDED:
        if name not in files:
            raise BundleError(f"{folder} lists no {name}; {again}")
    for name in FACTS:
        if name not in manifest:
            raise BundleError(f"{folder}/manifest.json does not say {name!r}; {again}")
    try:
        _check_files(folder, files, again)
    except OSError as error:
        raise BundleError(f"{folder} cannot be read ({error}); {again}") from error
    return manifest


def _check_files(folder: Path, files: dict[str, tuple[int, str]], again: str) -> None:
    """Compares what lies in a folder with what its manifest lists: bytes and sha256 by name."""
    for name in strangers(folder, {"manifest.json", *files}):
        # a bundle copied over an older one would else be served with parts of both
        raise BundleError(f"{folder / name} is not of this bundle; remove the folder, then {again}")
    for name, (n_bytes, sha256) in files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; {again}")
        if path.stat().st_size != n_bytes:
            raise BundleError(
                f"{path} is cut short or grown: {path.stat().st_size:,} bytes, expected "
                f"{n_bytes:,}; {again}"
            )
        if sha256_of(path) != sha256:
            raise BundleError(f"{path} was changed: its sha256 differs; {again}")
