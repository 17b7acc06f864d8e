"""How is something kept whole, or not at all? Written aside, then moved into place.

A full disk or a bad value in the middle leaves what was there before, and no draft. A kill leaves
what was there before and a hidden draft, which the next write to the same place clears away.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from etalage.errors import CapacityError, DataError

HOST = f"{zlib.crc32(platform.node().encode()):08x}"
"""Process ids say nothing about machines that share a disk, so drafts carry both."""


@dataclass(frozen=True)
class Kind:
    """What a folder holds: how to tell it from a folder that must not be overwritten."""

    name: str
    """As messages call it."""
    marker: str
    """The JSON file that every such folder has."""
    key: str
    """A key of that file which no other kind has."""

    def is_at(self, folder: Path) -> bool:
        """Whether a folder holds one, whole or broken."""
        try:
            return f'"{self.key}"'.encode() in (folder / self.marker).read_bytes()
        except OSError:
            return False

    def check_place(self, folder: Path) -> None:
        """Raises DataError unless `folder` is absent, empty, or holds one of this kind."""
        if not (folder.exists() or folder.is_symlink()) or self.is_at(folder):
            return
        if not folder.is_dir() or any(folder.iterdir()):
            raise DataError(f"{folder} exists and is no {self.name}; choose a new folder")


@contextmanager
def whole_folder(folder: Path, kind: Kind) -> Iterator[Path]:
    """Yields an empty folder to fill; it takes the place of `folder` when the block ends well.

    Raises:
        DataError: when `folder` holds something of another kind; nothing of it is touched.
        CapacityError: when the disk is full or refuses; `folder` is then as it was.
    """
    with _said_plainly(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        kind.check_place(folder)
        prefix = f".{folder.name}.{HOST}-{os.getpid()}."
        draft = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
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
        _sweep(path)
        draft = path.with_name(f".{path.name}.{HOST}-{os.getpid()}.draft")
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


def _sweep(place: Path) -> None:
    """Clears away what processes that are no more left beside `place`.

    One that died between the two renames had moved the old artefact away; it is put back.
    """
    draft_of = re.compile(rf"\.{re.escape(place.name)}\.{HOST}-(\d+)\.\w+(\.old)?")
    for path in place.parent.iterdir():
        found = draft_of.fullmatch(path.name)
        if found is None or _is_running(int(found[1])):
            continue
        if found[2] and not place.exists():
            with suppress(FileNotFoundError):  # another process was quicker
                os.rename(path, place)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process id at all
        return True
    return True


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
