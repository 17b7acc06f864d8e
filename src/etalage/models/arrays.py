"""How is a model kept? `config.json` with what it was made of, and one npy file an array.

```
config.json   library version, data hash, all settings, sha256 of every file
NAME.npy      an array of the fitted state
```
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from etalage import __version__
from etalage.artefact import Kind, sha256_of, whole_folder
from etalage.errors import BundleError

if TYPE_CHECKING:
    from etalage.models.ranker import Ranker
    from etalage.models.recommender import Recommender

VERSION = 1
MODEL = Kind("saved model", "config.json", "etalage_model")


M = TypeVar("M", bound="Recommender | Ranker")


def save_arrays(folder: Path, model: Recommender | Ranker, **arrays: NDArray[Any]) -> None:
    """Writes a model whole, or not at all.

    Raises:
        DataError: when the folder holds something else.
    """
    with whole_folder(folder, MODEL) as draft:
        files = {}
        for name, array in arrays.items():
            path = draft / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            files[path.name] = sha256_of(path)
        facts = {
            "etalage_model": VERSION,
            "library_version": __version__,
            "data_hash": model.data_hash,
            "config": model.config.to_dict(),
            "files": files,
        }
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        (draft / "config.json").write_text(text, encoding="utf-8")


def load_arrays(folder: Path, model_type: type[M]) -> tuple[M, dict[str, NDArray[Any]]]:
    """Reads what `save_arrays` wrote: a model with its settings, and the arrays to put into it.

    Raises:
        BundleError: when it is not there, of another version or another model, or when a file is
            missing, cut or changed.
    """
    path, again = folder / "config.json", "save the model again"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        version, files = facts["etalage_model"], dict(facts["files"])
        settings, data_hash = facts["config"], facts["data_hash"]
    except FileNotFoundError:
        raise BundleError(f"no saved model in {folder}: config.json is missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} cannot be read ({error!r}); {again}") from error
    if version != VERSION:
        raise BundleError(
            f"{folder} has version {version} of the form of saved models; this Etalage reads "
            f"{VERSION}; {again}"
        )
    try:
        model = model_type(model_type.config_type.model_validate(settings))
    except ValidationError as error:
        raise BundleError(
            f"{path} does not hold the settings of {model_type.__name__} ({error}); load it as "
            f"what it is, or {again}"
        ) from error
    model.data_hash = data_hash
    arrays = {}
    for name, sha256 in files.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing, though config.json lists it; {again}")
        if sha256_of(folder / name) != sha256:
            raise BundleError(f"{folder / name} was cut or changed: its sha256 differs; {again}")
        arrays[name.removesuffix(".npy")] = np.load(folder / name, allow_pickle=False)
    return model, arrays
