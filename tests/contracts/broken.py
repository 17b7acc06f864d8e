"""Copies of a saved model that were cut, changed or mixed up on their way."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from etalage.errors import BundleError


def check_broken_copies(folder: Path, model_type: Any) -> None:
    """Every way to break a copy ends in a BundleError that says which file, and what to do."""
    copy = folder.with_name("copy")

    def refused(message: str) -> None:
        with pytest.raises(BundleError, match=message):
            model_type.load(copy)
        shutil.rmtree(copy)

    def fresh() -> dict[str, Any]:
        shutil.copytree(folder, copy)
        return json.loads((copy / "config.json").read_text())

    def rewrite(facts: Any) -> None:
        (copy / "config.json").write_text(json.dumps(facts))

    for array in sorted(path.name for path in folder.glob("*.npy")):
        fresh()
        (copy / array).unlink()
        refused(f"{array} is missing.*save the model again")
        fresh()
        (copy / array).write_bytes((folder / array).read_bytes()[:-3])
        refused(f"{array} was cut or changed.*save the model again")
    for text in ("", "{", "[]", "null", '{"kind": "popularity"}', "\xff"):
        fresh()
        (copy / "config.json").write_bytes(text.encode("latin-1"))
        refused("config.json cannot be read.*save the model again")
    rewrite(fresh() | {"etalage_model": 9})
    refused("has version 9 of the form of saved models; this Etalage reads 1")
    facts = fresh()
    rewrite(facts | {"config": facts["config"] | {"kind": "other"}})
    refused("does not hold the settings of")
    fresh()
    (copy / "config.json").unlink()
    refused("no saved model in .*config.json is missing")
    with pytest.raises(BundleError, match="no saved model"):
        model_type.load(copy)
