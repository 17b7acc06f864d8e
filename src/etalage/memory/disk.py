"""What is wrong with the disk? Errors of SQLite and of the system, in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from etalage.errors import BusyError, CapacityError, DamagedError, naming_extras

with naming_extras():
    import apsw

WAIT_MS = 10_000
"""How long a statement waits for another process that is writing."""


def make_private(path: Path) -> None:
    """Makes a file that its owner alone can read, where there is none; its log gets its rights."""
    if not path.exists():
        with suppress(OSError):  # SQLite says better what is wrong
            path.touch(0o600)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Says what is wrong with the disk or the file in words that help."""
    try:
        yield
    except apsw.FullError as error:
        raise CapacityError(
            f"the disk of {path} is full: nothing of this was kept, everything before was; "
            "make room and write it again"
        ) from error
    except (apsw.ReadOnlyError, apsw.PermissionsError, apsw.CantOpenError) as error:
        raise CapacityError(
            f"{path} cannot be written: {error}; nothing of this was kept; check the rights of "
            "the file and of its folder, and whether the disk is mounted read-only"
        ) from error
    except (apsw.IOError, OSError) as error:
        raise CapacityError(
            f"the disk of {path} failed or cannot be written: {error}; nothing of this was kept"
        ) from error
    except apsw.BusyError as error:
        raise BusyError(
            f"another process has been writing to {path} for {WAIT_MS / 1000:g} s; nothing of "
            "this was kept; try again"
        ) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise DamagedError(
            f"{path} is damaged or no memory: {error}; restore a backup, or name another file"
        ) from error
