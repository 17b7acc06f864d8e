"""How is something kept whole, or not at all? Written aside, then moved into place.

A full disk or a bad value in the middle leaves what was there before, and no draft. A kill leaves
what was there before and a hidden draft, which the next write to the same place clears away.
Where the place is a link, the link stays and what it points to is replaced.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etalage.errors import CapacityError, DataError

HOST = f"{zlib.crc32(platform.node().encode()):08x}"
"""Process ids say nothing about machines that share a disk, so drafts carry both."""
ALIVE: set[str] = set()
"""Names of this process's drafts: in a restarted container its id was another's before."""


@dataclass(frozen=True)
class Kind:
    """What a folder holds: how to tell it from a folder that must not be overwritten."""

    name: str
    """As messages call it."""
    marker: str
    """The JSON file that every such folder has; its `files`, if any, are all that belong there."""
    key: str
    """A key of that file, at its top, which no other kind has."""

    def is_at(self, folder: Path) -> bool:
        """Whether a folder holds one, whole or with broken parts."""
        return self._marker_of(folder) is not None

    def check_place(self, folder: Path) -> None:
        """Raises DataError unless `folder` is absent, empty, or holds one of this kind alone."""
        if not folder.exists():
            return
        marker = self._marker_of(folder)
        if marker is None:
            if not folder.is_dir() or any(folder.iterdir()):
                raise DataError(f"{folder} exists and is no {self.name}; choose a new folder")
            return
        listed = marker.get("files")
        if isinstance(listed, dict):
            for name in strangers(folder, {self.marker, *listed}):
                raise DataError(
                    f"{folder} holds {name}, which is not of the {self.name} there and would be "
                    "lost; move it away, or choose a new folder"
                )

    def _marker_of(self, folder: Path) -> dict[str, Any] | None:
        try:
            marker = json.loads((folder / self.marker).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return marker if isinstance(marker, dict) and self.key in marker else None


def strangers(folder: Path, known: Collection[str]) -> Iterator[str]:
    """Yields the names of files in a folder, at any depth, that are neither known nor hidden."""
    for path in sorted(folder.rglob("[!.]*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known:
            yield name


@contextmanager
def whole_folder(folder: Path, kind: Kind) -> Iterator[Path]:
    """Yields an empty folder to fill; it takes the place of `folder` when the block ends well.

    Raises:
        DataError: when `folder` holds something of another kind; nothing of it is touched.
        CapacityError: when the disk is full or refuses; `folder` is then as it was.
    """
    place = Path(os.path.realpath(folder))
    with _said_plainly(folder):
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        kind.check_place(folder)
        with _draft_of(place) as draft:
            draft.mkdir()
            yield draft
            _swap(draft, place)


@contextmanager
def first_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; it becomes `folder` when the block ends well, unless another
    process made one there meanwhile: then that one stays.

    Raises:
        CapacityError: when the disk is full or refuses; then nothing of it is there.
    """
    with _said_plainly(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        with _draft_of(folder) as draft:
            draft.mkdir()
            yield draft
            try:
                os.rename(draft, folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a path to write; the file takes the place of `path` when the block ends well.

    Raises:
        CapacityError: when the disk is full or refuses; `path` is then as it was.
    """
    place = Path(os.path.realpath(path))
    with _said_plainly(path):
        _sweep(place)
        with _draft_of(place) as draft:
            yield draft
            os.replace(draft, place)


@contextmanager
def _draft_of(place: Path) -> Iterator[Path]:
    """Yields a new name beside `place`; what has it when the block ends is cleared away."""
    name = f".{place.name}.{HOST}-{os.getpid()}.{secrets.token_hex(4)}"
    ALIVE.add(name)  # before there is anything that another thread could sweep
    try:
        yield place.with_name(name)
    finally:
        _remove(place.with_name(name))
        ALIVE.discard(name)


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
    """Clears away what was left beside `place` by processes that are no more.

    One that died between the two renames had moved the old artefact away; it is put back.
    """
    draft_of = re.compile(rf"(\.{re.escape(place.name)}\.{HOST}-(\d+)\.\w+)(\.old)?")
    for path in place.parent.iterdir():
        found = draft_of.fullmatch(path.name)
        if found is None or _is_alive(found[1], int(found[2])):
            continue
        if found[3] and not place.exists():
            with suppress(FileNotFoundError):  # another process was quicker
                os.rename(path, place)
        else:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(draft: str, process: int) -> bool:
    if process == os.getpid():
        return draft in ALIVE
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process id at all
        return True
    return True


def sha256_of(*paths: Path) -> str:
    """Returns the sha256 of files read one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


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


def append_line(path: Path, line: Any) -> None:
    """Adds a line of JSON; what a kill left of a line before it stays a line of its own."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(line).encode() + b"\n")


def whole_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Number and value of every whole line of JSON, none without a file; what a kill cut off is
    passed over."""
    if not path.exists():
        return
    for n, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        yield n, value
