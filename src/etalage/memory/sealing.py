"""Can somebody who has the file read it? Not where texts are sealed before they are kept."""

from __future__ import annotations

from typing import Protocol


class Cipher(Protocol):
    """Encrypts what is kept: texts, facts, vectors and notes.

    A key should follow from the user's salt, 32 random bytes that the store destroys when the user
    is erased: copies of the file that still exist elsewhere can then not be read either.
    """

    def seal(self, salt: bytes, plain: bytes) -> bytes:
        """Returns what is written into the file."""

    def open(self, salt: bytes, sealed: bytes) -> bytes:
        """Returns what was sealed; raises where it was changed."""


class Unsealed:
    """Keeps everything as it is, for a file on an encrypted disk."""

    def seal(self, salt: bytes, plain: bytes) -> bytes:
        return plain

    def open(self, salt: bytes, sealed: bytes) -> bytes:
        return sealed
