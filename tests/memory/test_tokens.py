"""A token names one user, whatever the name holds; nobody makes one without the key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.errors import DataError
from etalage.memory.tokens import holder, issue

KEY = b"0123456789abcdef"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 2**53))
def test_a_token_names_whom_it_was_made_for_until_its_time(user: str, until: int) -> None:
    token = issue(KEY, user, until)
    assert holder(KEY, token, until - 1) == user
    assert holder(KEY, token, until) is None
    assert holder(b"x" * 16, token, 0) is None


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_changed_byte_is_accepted(at: int, by: int) -> None:
    from base64 import urlsafe_b64decode, urlsafe_b64encode

    raw = bytearray(urlsafe_b64decode(issue(KEY, "ann 9", 10) + "=="))
    raw[at % len(raw)] ^= by
    assert holder(KEY, urlsafe_b64encode(raw).decode(), 0) is None


@pytest.mark.parametrize("user", ["half \ud83c", "Zo\udce9"])
def test_a_token_is_of_a_text(user: str) -> None:
    with pytest.raises(DataError, match="named by a text"):
        issue(KEY, user, 10)
