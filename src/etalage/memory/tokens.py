"""Who is asking? A token that names one user, and that only the holder of the key can make."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from etalage.errors import DataError
from etalage.memory.facts import is_unicode

SEAL, LEAST_KEY = 32, 16
"""Bytes of a seal, and of a key."""


def check_key(key: bytes) -> None:
    """Raises DataError for a key that could be guessed."""
    if len(key) < LEAST_KEY:
        raise DataError(
            f"the key has {len(key)} bytes, at least {LEAST_KEY} are needed; make one: "
            "head -c 32 /dev/urandom > memory.key"
        )


def issue(key: bytes, user: str, until: int) -> str:
    """Returns a token of a user that is good until then (ms UTC).

    Raises:
        DataError: for a key that could be guessed, or for no text.
    """
    if not is_unicode(user):
        raise DataError(f"a user is named by a text; got {user!a:.80}")
    check_key(key)
    said = f"{until} {user}".encode()
    return urlsafe_b64encode(_seal(key, said) + said).decode().rstrip("=")


def holder(key: bytes, token: str, now: int) -> str | None:
    """Returns the user of a token, None where it is not of this key, changed or past its time.

    >>> key = b"0123456789abcdef"
    >>> holder(key, issue(key, "ann", until=10), now=5), holder(key, issue(key, "ann", 10), now=11)
    ('ann', None)
    """
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        seal, said = raw[:SEAL], raw[SEAL:]
        if not hmac.compare_digest(seal, _seal(key, said)):
            return None
        until, _, user = said.decode().partition(" ")
        return user if now < int(until) else None
    except (Error, ValueError):
        return None


def _seal(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, b"token " + said, "sha256")
