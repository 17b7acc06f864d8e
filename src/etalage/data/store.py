"""How does a dataset lie on disk? A folder of Parquet with a manifest that knows every hash.

```
folder/manifest.json          counts, sha256 of the files, source, terms
folder/interactions.parquet   user, item (indices), time, value and context
folder/user_ids.parquet       the external id of each index; item_ids.parquet likewise
folder/item_table.parquet     where there is one; user_table and impressions likewise
```

The same dataset gives the same manifest: no clock and no name of a machine is written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import polars as pl

from etalage import __version__
from etalage.artefact import Kind, sha256_of, whole_folder
from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.errors import DataError
from etalage.ids import Vocabulary

MANIFEST = "manifest.json"
VERSION = 1
DATASET = Kind("stored dataset", MANIFEST, "etalage_dataset")
TABLES = ("item_table", "user_table", "impressions")


def is_stored(folder: Path) -> bool:
    """Whether a folder holds a stored dataset, whole or broken."""
    return (folder / MANIFEST).exists()


def save(dataset: Dataset, folder: str | Path, *, terms: str | None = None) -> Path:
    """Writes a dataset to a folder, at once or not at all; a dataset there before is replaced.

    `terms` says under which terms the data may be used; kept from the manifest where not given.

    Raises:
        DataError: when the folder holds something else.
        CapacityError: when the disk is full or refuses.
    """
    folder = Path(folder)
    with whole_folder(folder, DATASET) as draft:
        _write(dataset, draft, terms)
    return folder


def load(folder: str | Path) -> Dataset:
    """Reads a stored dataset, every file checked against its hash.

    Raises:
        DataError: for a missing, changed or cut file, or a manifest of another kind.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    frames = {
        Path(name).stem: _read(folder, name, facts) for name, facts in manifest["files"].items()
    }
    users, items = (Vocabulary(frames[name]["id"].to_list()) for name in ("user_ids", "item_ids"))
    return Dataset(
        manifest["name"],
        Interactions(frames["interactions"], n_users=len(users), n_items=len(items)),
        users,
        items,
        manifest=manifest,
        **{name: frames.get(name) for name in TABLES},
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Returns the manifest of a stored dataset.

    Raises:
        DataError: when there is none, or it is broken, of another kind or of a later version.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise DataError(f"no dataset in {folder} (there is no {MANIFEST}); see etalage data import")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["etalage_dataset"]
        missing = {"user_ids.parquet", "item_ids.parquet", "interactions.parquet"} - set(
            manifest["files"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not the manifest of a dataset; import it again, or, where the folder holds "
            "a log in another form, give the path of that file"
        ) from error
    if version != VERSION:
        raise DataError(
            f"{folder} was written as version {version} of the dataset form; this Etalage reads "
            f"version {VERSION}. Import it again"
        )
    if missing:
        raise DataError(f"{path} lists no {', '.join(sorted(missing))}; import the dataset again")
    return manifest


def _write(dataset: Dataset, folder: Path, terms: str | None) -> None:
    frames = {
        "interactions": dataset.interactions.frame,
        "user_ids": _id_frame(dataset.users),
        "item_ids": _id_frame(dataset.items),
    }
    frames |= {name: t for name in TABLES if (t := getattr(dataset, name)) is not None}
    files = {}
    for name, frame in frames.items():
        path = folder / f"{name}.parquet"
        frame.write_parquet(path, compression_level=3)
        files[path.name] = _facts(path) | {"rows": len(frame)}
    manifest = {
        **dataset.manifest,
        "etalage_dataset": VERSION,
        "etalage": __version__,
        "name": dataset.name,
        "n_users": dataset.n_users,
        "n_items": dataset.n_items,
        "n_interactions": len(dataset.interactions),
        "terms": terms if terms is not None else dataset.manifest.get("terms", "not stated"),
        "files": files,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file)


def _id_frame(ids: Vocabulary) -> pl.DataFrame:
    return pl.DataFrame({"id": pl.Series(ids.ids, dtype=pl.Int64 if ids.is_integer else pl.String)})


def _facts(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size}


def _read(folder: Path, name: str, facts: dict[str, Any]) -> pl.DataFrame:
    path = folder / name
    again = "copy the whole folder again, or import the log again"
    if not path.exists():
        raise DataError(f"{path} is missing, though the manifest lists it; {again}")
    found = _facts(path)
    if found["bytes"] < facts["bytes"]:
        raise DataError(
            f"{path} is cut short: {found['bytes']:,} of {facts['bytes']:,} bytes; {again}"
        )
    if found["sha256"] != facts["sha256"]:
        raise DataError(
            f"{path} was changed: its sha256 is {found['sha256'][:12]}..., the manifest says "
            f"{facts['sha256'][:12]}...; {again}"
        )
    return pl.read_parquet(path)
