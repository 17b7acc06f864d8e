"""How is a model without a network kept? `config.json` and one npy file an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.artefact import whole_folder
from etalage.errors import BundleError
from etalage.recipe.config import ModelConfig


def save_arrays(folder: Path, config: ModelConfig, **arrays: NDArray[Any]) -> None:
    """Writes a model whole, or not at all."""
    with whole_folder(folder) as draft:
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
        (draft / "config.json").write_text(config.model_dump_json(indent=2) + "\n")


def load_arrays(
    folder: Path, config_type: type[ModelConfig]
) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Reads what `save_arrays` wrote; BundleError when it is not there."""
    path = folder / "config.json"
    if not path.exists():
        raise BundleError(f"no saved model in {folder}: config.json is missing")
    config = config_type.model_validate_json(path.read_text())
    arrays = {f.stem: np.load(f, allow_pickle=False) for f in sorted(folder.glob("*.npy"))}
    return config, arrays
