"""How is something kept whole, or not at all? Written aside, then moved into place.

A full disk, a kill or a bad value in the middle leaves what was there before, and no draft.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etalage.errors import CapacityError


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; it takes the place of `folder` when the block ends well.

    Raises:
        CapacityError: when the disk is full or refuses; `folder` is then as it was.
    """
    with _said_plainly(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            draft.chmod(0o755)  # mkdtemp keeps others out
            yield draft
            _swap(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a path to write; the file takes the place of `path` when the block ends well.

    Raises:
        CapacityError: when the disk is full or refuses; `path` is then as it was.
    """
    with _said_plainly(path):
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            yield draft
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def _swap(draft: Path, folder: Path) -> None:
    """Renames `draft` to `folder`; what is there is moved away first, and back on failure."""
    if not folder.exists():
        os.rename(draft, folder)
        return
    old = draft.with_name(draft.name + ".old")
    os.rename(folder, old)
    try:
        os.rename(draft, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _said_plainly(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        # libraries that write by themselves pass the system's message on as text
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise CapacityError(
                f"the disk of {path} is full; nothing was written. Free some space, or choose "
                "another"
            ) from error
        if isinstance(error, OSError) or "os error" in str(error):
            raise CapacityError(f"cannot write {path}: {error}; nothing was written") from error
        raise
