"""Whoever changes, drops or reorders an act breaks the chain; and it tells no content."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import verify


def filled(path: Path) -> None:
    with MemoryStore(path, key=b"0123456789abcdef") as store:
        ann = store.user("ann")
        for at in range(4):
            ann.write(f"I like marzipan {at}")
        ann.read("marzipan", actor="the assistant")
        ann.forget(2, actor="ann herself")


def test_every_act_is_told(tmp_path: Path) -> None:
    filled(tmp_path / "m.sqlite")
    with MemoryStore(tmp_path / "m.sqlite", key=b"0123456789abcdef") as store:
        acts, whole = store.user("ann").trail()
    assert whole
    assert [act.what for act in acts] == ["wrote"] * 4 + ["read"] * 4 + ["forgot"]
    assert (acts[-1].memory, acts[-1].actor) == (2, "ann herself")
    assert {act.actor for act in acts[4:8]} == {"the assistant"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'nobody' WHERE what = 'read'",
        "UPDATE audit SET at = at + 1 WHERE what = 'forgot'",
        "DELETE FROM audit WHERE (id & 0xffffffff) = 3",
        "DELETE FROM audit WHERE (id & 0xffffffff) = 1",
        "UPDATE audit SET memory = 3 WHERE what = 'forgot'",
        "UPDATE audit SET mac = zeroblob(32) WHERE (id & 0xffffffff) = 5",
    ],
)
def test_a_change_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "m.sqlite"
    filled(path)
    connection = apsw.Connection(str(path))
    connection.execute(change)
    connection.close()
    with MemoryStore(path, key=b"0123456789abcdef") as store:
        assert store.user("ann").trail()[1] is False
        assert verify(store) == ["the trail of user 1 was changed"]


def test_a_chain_that_is_cut_short_is_whole(tmp_path: Path) -> None:
    """Which is why it is not promised that the newest acts are all there."""
    path = tmp_path / "m.sqlite"
    filled(path)
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM audit WHERE what = 'forgot'")
    connection.close()
    with MemoryStore(path, key=b"0123456789abcdef") as store:
        acts, whole = store.user("ann").trail()
        assert (len(acts), whole) == (8, True)


def test_acts_hold_no_content(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    filled(path)
    connection = apsw.Connection(str(path))
    rows = connection.execute("SELECT * FROM audit").fetchall()
    assert "marzipan" not in str(rows)
    connection.close()
