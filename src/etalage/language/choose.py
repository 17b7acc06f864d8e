"""Which encoder is meant by a name? `hashing`, `minilm`, or any sentence encoder there is."""

from __future__ import annotations

import re
from pathlib import Path

from etalage.errors import RecipeError, did_you_mean
from etalage.language.cache import CachedEncoder
from etalage.language.encoder import Encoder
from etalage.language.hashing import HashingEncoder
from etalage.language.minilm import MiniLMEncoder
from etalage.language.transformer import TransformerEncoder

BUILT_IN = ("hashing", "minilm")
CHOICES = "hashing, minilm, a folder that exists, or owner/name of a model of the Hugging Face hub"


def text_encoder(
    name: str, width: int = 64, seed: int = 0, *, cached: bool = True, progress: bool = False
) -> Encoder:
    """Returns an encoder; `hashing` is to be fitted to texts first, all others are ready.

    Args:
        name: "hashing", "minilm", a folder, or owner/name of a model of the Hugging Face hub.
        width: D of hashing; the others' is their own.
        seed: of hashing.
        cached: keep the vectors on disk (`language/cache.py`); hashing is never kept.
        progress: show a bar on stderr while texts are encoded.

    Raises:
        RecipeError: for a name that is none of these.
        MissingExtraError: when a package is not installed.
        DataError: when the model is absent, damaged or cannot be reached.
    """
    if name == "hashing":
        return HashingEncoder(width, seed=seed)
    found: Encoder
    if name == "minilm":
        found = MiniLMEncoder()
    else:
        _check_name(name)
        found = TransformerEncoder(name)
    return CachedEncoder(found, progress=progress) if cached else found


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise RecipeError(f"a text encoder is a name; got {name!r}; choose {CHOICES}")
    # a name without its owner is more likely a slip than a model, and a slip costs a search online
    if not Path(name).exists() and not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        hint = did_you_mean(name, BUILT_IN)
        raise RecipeError(f"there is no text encoder {name!r}{hint}; choose {CHOICES}")
