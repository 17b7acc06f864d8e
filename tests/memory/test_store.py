"""What is written is there again, exactly, and what cannot be remembered is refused."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.memory.conftest import DAY, START, Clock

from etalage.errors import CapacityError, DataError, ErasedError
from etalage.language.ngrams import NgramEncoder
from etalage.memory.facts import Fact
from etalage.memory.refusals import refusals
from etalage.memory.scrubbing import PageFile
from etalage.memory.statement import MARK, MOST_CHARACTERS, Statement
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import backup, expire, rebuild, stats, verify


def test_a_statement_comes_back_as_it_was_said(store: MemoryStore) -> None:
    ann = store.user("ann")
    end = START + DAY
    facts = (Fact("likes", "jazz", polarity=-1, strength=0.5, valid_to=end, span=(0, 4)),)
    said = Statement("No\0 more jazz \u2028 ç 爵士", "fact", "user", START - DAY, end, facts,
                     {"item": "m1"}, "a key")  # fmt: skip
    number = ann.write(said)
    found = ann.get(number)
    assert (found.text, found.kind, found.source) == (said.text, "fact", "user")
    assert (found.said_at, found.until, found.recorded_at) == (said.said_at, said.until, START)
    assert found.meta == {"item": "m1"}
    (fact,) = found.facts
    assert (fact.polarity, fact.strength, fact.valid_to, fact.span) == (
        -1,
        0.5,
        START + DAY,
        (0, 4),
    )
    assert (fact.valid_from, fact.memory, fact.origin) == (START - DAY, number, "given")


def test_numbers_are_each_users_own_and_never_given_twice(store: MemoryStore) -> None:
    ann, bob = store.user("ann"), store.user("bob")
    assert [ann.write("one"), ann.write("two"), bob.write("mine")] == [1, 2, 1]
    ann.forget(2)
    assert ann.write("three") == 3


def test_the_same_key_is_kept_once_and_of_each_user(store: MemoryStore) -> None:
    ann = store.user("ann")
    assert ann.write("paid", key="order 7") == ann.write("paid again", key="order 7")
    assert store.user("bob").write("paid", key="order 7") == 1
    assert [memory.text for memory in ann.memories()] == ["paid"]


def test_many_are_written_together_or_not_at_all(store: MemoryStore, clock: Clock) -> None:
    far = Statement("later", said_at=START + 3 * DAY)
    with pytest.raises(DataError, match=r"3\.0 days ahead"):
        store.write_many([("ann", Statement("now")), ("bob", Statement("too")), ("bob", far)])
    assert stats(store)["n_memories"] == stats(store)["n_users"] == 0
    assert store.write_many([("ann", Statement("a")), ("bob", Statement("b")),
                             ("ann", Statement("c"))]) == [1, 1, 2]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "reason"),
    [("", "empty"), (" \n", "empty"), ("x" * (MOST_CHARACTERS + 1), "cut it"),
     ("half \ud83c", "Unicode"), (b"bytes", "decode"), (f"{MARK} said again", "recalled"),
     (None, "NoneType")],
)  # fmt: skip
def test_what_is_no_text_is_refused(store: MemoryStore, given: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        store.user("ann").write(given)  # type: ignore[arg-type]
    assert stats(store)["n_memories"] == 0


@pytest.mark.parametrize(
    "parts",
    [
        {"kind": "song"},
        {"source": "radio"},
        {"said_at": -1},
        {"said_at": 1.5},
        {"until": True},
        {"meta": {"a": {1, 2}}},
        {"key": 7},
        {"key": "half \ud83c"},
    ],
)
def test_a_wrong_part_is_named(parts: dict[str, object]) -> None:
    with pytest.raises(DataError, match=next(iter(parts))):
        Statement("text", **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "  ", "x" * 501, 7, None, "half \ud83c", "Zo\udce9"])
def test_a_user_is_named_by_a_text(store: MemoryStore, name: object) -> None:
    with pytest.raises(DataError, match="a user is named"):
        store.user(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE memory; --", '"quoted" AND NEAR(a, b) * OR', "a\0b", "%_%", "x" * 50_000],
)
def test_any_characters_are_text(store: MemoryStore, text: str) -> None:
    ann = store.user("ann")
    ann.write(text)
    ann.read(text)
    assert [memory.text for memory in ann.memories()] == [text]
    assert verify(store) == []


def test_an_unknown_user_has_nothing(store: MemoryStore) -> None:
    nobody = store.user("nobody")
    assert nobody.read("anything") == []
    assert list(nobody.memories()) == nobody.beliefs() == []
    assert nobody.forget(1).n_memories == nobody.erase().n_memories == 0
    assert len(list(nobody.export())) == 1
    with pytest.raises(DataError, match="no memory 1"):
        nobody.get(1)
    assert stats(store)["n_users"] == 0


def test_a_clock_set_back_reorders_nothing(store: MemoryStore, clock: Clock) -> None:
    ann = store.user("ann")
    ann.write("I live in Lyon")
    clock.now -= 400 * DAY
    ann.write("I moved to Nice")
    assert [memory.recorded_at for memory in ann.memories()] == [START, START]
    assert [belief.object for belief in ann.beliefs()] == ["Nice"]
    assert ann.trail()[1]


def test_an_assistant_that_repeats_what_it_recalled_adds_nothing(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write("I like running in the park with my brother")
    for _ in range(50):
        echo = "You like running in the park with your brother!"
        assert ann.write(echo, source="assistant") == 1
    assert ann.write("The museum opens at nine tomorrow", source="assistant") == 2
    assert stats(store)["n_memories"] == 2


def test_what_was_closed_is_read_by_the_next(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "memory.sqlite"
    with MemoryStore(path, clock=clock) as store:
        store.user("ann").write("I like jazz")
    with MemoryStore(path, clock=clock) as store:
        assert [hit.text for hit in store.user("ann").read("jazz")] == ["I like jazz"]


def test_another_database_is_not_touched(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE mine(x)")
    connection.close()
    before = other.read_bytes()
    with pytest.raises(DataError, match="no memory"):
        MemoryStore(other)
    assert other.read_bytes() == before


def test_no_database_a_later_version_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("not a database, but long enough to have a head of one" * 50)
    with pytest.raises(DataError, match="damaged or no memory"):
        MemoryStore(text)
    later = tmp_path / "later.sqlite"
    MemoryStore(later).close()
    connection = apsw.Connection(str(later))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(DataError, match="newer etalage"):
        MemoryStore(later)
    with pytest.raises(DataError, match="there is no folder"):
        MemoryStore(tmp_path / "nowhere" / "m.sqlite")


def test_a_file_with_a_key_needs_it(tmp_path: Path) -> None:
    path, key = tmp_path / "m.sqlite", b"0123456789abcdef"
    with MemoryStore(path, key=key) as store:
        store.user("ann").write("I like jazz")
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DataError, match="give the same one"):
        MemoryStore(path)
    with pytest.raises(DataError, match="not the one"):
        MemoryStore(path, key=b"another key 1234")
    assert len(list(Path("/proc/self/fd").iterdir())) == n_open
    with MemoryStore(path, key=key) as store:
        assert len(store.user("ann").read("jazz")) == 1
    assert key not in path.read_bytes()


class Masked:
    """A cipher for tests: each byte is changed by one of the salt."""

    def seal(self, salt: bytes, plain: bytes) -> bytes:
        return bytes(byte ^ salt[at % 32] ^ 0x5A for at, byte in enumerate(plain))

    open = seal


def test_a_sealed_file_holds_no_text_and_answers_alike(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "m.sqlite"
    with MemoryStore(path, cipher=Masked(), clock=clock) as store:
        ann = store.user("annabel")
        ann.write("I like marzipan", meta={"secret": "xylophone"})
        assert [hit.text for hit in ann.read("marzipan?")] == ["I like marzipan"]
        assert ann.beliefs()[0].object == "marzipan"
        assert rebuild(store) == 1
        assert ann.read("marzipan?")[0].closeness > 0.3
    content = path.read_bytes()
    for word in (b"marzipan", b"xylophone", b"annabel"):
        assert word not in content


def test_an_export_is_everything_and_loads_again(store: MemoryStore, clock: Clock) -> None:
    ann = store.user("ann")
    ann.write("I live in Lyon", meta={"a": [1, None]})
    ann.write(Statement("size", facts=(Fact("shoe_size", "42", is_single=True),), until=START + 9))
    lines = list(ann.export())
    other = store.user("ann's new account")
    assert other.load(lines) == other.load(lines) == 2
    assert list(other.export())[1:] == lines[1:]


def test_who_was_erased_is_not_brought_back_by_an_old_export(
    store: MemoryStore, clock: Clock
) -> None:
    ann = store.user("ann")
    ann.write("I like jazz")
    lines = list(ann.export())
    clock.now += 1000
    assert ann.erase().n_memories == 1
    with pytest.raises(ErasedError, match="erased after"):
        ann.load(lines)
    assert ann.read("jazz") == []
    assert ann.trail() == ([], True)
    assert ann.write("I like opera") == 1  # a new beginning is allowed
    clock.now += 1000
    assert ann.load(list(ann.export())) == 1


def test_exports_of_two_accounts_are_joined(store: MemoryStore) -> None:
    """Number 1 of each is another memory."""
    for name, text in (("one", "I like jazz"), ("other", "I own a cat")):
        store.user(name).write(text)
    joined = store.user("joined")
    for name in ("one", "other", "one"):
        assert joined.load(list(store.user(name).export())) == 1
    assert [memory.text for memory in joined.memories()] == ["I like jazz", "I own a cat"]


def test_an_erasure_while_an_export_is_loaded_is_kept(
    store: MemoryStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = store.user("ann")
    ann.write("I like jazz")
    lines, encode = list(ann.export()), store.encoder.encode
    clock.now += 1000

    def erasing(texts: Sequence[str]) -> np.ndarray:  # is called in the middle of loading
        ann.erase()
        return encode(texts)

    monkeypatch.setattr(store.encoder, "encode", erasing)
    with pytest.raises(ErasedError):
        ann.load(lines)
    assert ann.count() == 0


def test_who_was_erased_where_nothing_was_known_is_not_brought_there(
    store: MemoryStore, tmp_path: Path, clock: Clock
) -> None:
    with MemoryStore(tmp_path / "old.sqlite", clock=clock) as old:
        old.user("ann").write("I like jazz")
        lines = list(old.user("ann").export())
    clock.now += 1000
    store.user("ann").erase()
    clock.now -= 5000  # a clock set back does not take an erasure back
    store.user("ann").erase()
    with pytest.raises(ErasedError):
        store.user("ann").load(lines)


HEAD = b'{"exported_at":1}'


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"{}"],
        [b"no json"],
        [b"7"],
        [HEAD, b'{"a":1}'],
        [HEAD, b'"text"'],
        [HEAD, b"[]"],
        [HEAD, b'{"facts":[{"predicate":"likes","object":"tea","span":[0,1],"origin":7}],'
               b'"text":"I like tea","number":1,"recorded_at":1}'],
    ],
)  # fmt: skip
def test_what_is_no_export_is_refused(store: MemoryStore, lines: list[bytes]) -> None:
    with pytest.raises(DataError, match="no export"):
        store.user("ann").load(lines)


def test_what_is_past_its_time_is_hidden_at_once_and_then_forgotten(
    store: MemoryStore, clock: Clock
) -> None:
    ann = store.user("ann")
    ann.write("the code is 1234", until=START + 10)
    ann.write("the code of the door is blue")
    clock.now += 9
    assert len(ann.read("code")) == 2
    clock.now += 1
    assert [hit.number for hit in ann.read("code")] == [2]
    receipt = expire(store)
    assert (receipt.n_memories, receipt.is_scrubbed) == (1, True)
    assert len(store.shelf) == 0  # out of the process's memory, too
    assert [memory.number for memory in ann.memories()] == [2]
    assert ann.trail()[0][-1].what == "expired"


def test_looking_for_what_is_due_reads_no_users_of_whom_nothing_is(
    store: MemoryStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server looks every minute, while nobody can write."""
    for at in range(20):
        store.user(f"user {at}").write("I like jazz", until=START + 10 if at % 10 == 0 else None)
    clock.now += 10
    read, original = [], store._some_rows

    def counted(*given: Any) -> Any:
        for rows in original(*given):
            read.append(rows.person.no)
            yield rows

    monkeypatch.setattr(store, "_some_rows", counted)
    assert expire(store).n_memories == len(read) == 2


def test_what_is_past_its_time_takes_the_place_of_nothing(store: MemoryStore, clock: Clock) -> None:
    """Before it is deleted it counts as little as after."""
    ann = store.user("ann")
    ann.write("I live in Lyon")
    ann.write("I like horror")
    clock.now += 5
    ann.write_many(
        [
            Statement("I live in Nice", until=START + 10),
            Statement("I don't like horror", until=START + 10),
        ]
    )

    def told() -> tuple[list[str], list[tuple[str, int]], list[str]]:
        return (
            [hit.text for hit in ann.read("where do I live?")],
            [(belief.object, belief.polarity) for belief in ann.beliefs()],
            [refusal.said for refusal in refusals(*ann.facts())],
        )

    assert told() == (["I live in Nice"], [("horror", -1), ("Nice", 1)], ["horror"])
    before = [fact.valid_to for memory in ann.memories() for fact in memory.facts]
    assert before == [None] * 4, "a memory is shown as it was said"
    clock.now = START + 10
    after = (["I live in Lyon"], [("horror", 1), ("Lyon", 1)], [])
    assert told() == after
    assert expire(store).n_memories == 2
    assert told() == after


def test_a_backup_answers_alike_and_is_never_written_over(
    store: MemoryStore, tmp_path: Path
) -> None:
    store.user("ann").write("I like jazz")
    copy = tmp_path / "copy.sqlite"
    backup(store, copy)
    with MemoryStore(copy) as second:
        assert [hit.text for hit in second.user("ann").read("jazz")] == ["I like jazz"]
    with pytest.raises(DataError, match="there already"):
        backup(store, copy)


class Reversed(NgramEncoder):
    """Another encoder of the same width."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = "reversed"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return super().encode([text[::-1] for text in texts])


def test_vectors_of_two_encoders_are_never_compared_and_can_be_made_again(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with MemoryStore(path) as store:
        store.user("ann").write("I like marzipan")
    with MemoryStore(path, Reversed()) as store:
        ann = store.user("ann")
        (hit,) = ann.read("marzipan")
        assert hit.closeness == 0
        assert hit.words > 0
        rebuild(store)
        assert ann.read("marzipan")[0].closeness > 0.3


def test_rebuilding_changes_nothing(store: MemoryStore) -> None:
    ann = store.user("ann")
    for text in ("I live in Lyon", "I moved to Nice", "My shoe size is 42", "Good morning"):
        ann.write(text)
    ann.write(Statement("given", facts=(Fact("likes", "jazz"),)))
    before = list(ann.export())[1:], ann.read("where do I live?"), ann.beliefs()
    assert rebuild(store) == 5
    assert (list(ann.export())[1:], ann.read("where do I live?"), ann.beliefs()) == before
    assert verify(store) == []


def test_rebuilding_keeps_nobody_from_writing_and_brings_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.sqlite"
    with MemoryStore(path) as store, MemoryStore(path) as other:
        ann, encode = store.user("ann"), store.encoder.encode
        ann.write_many(["I like jazz", "Tom sleeps all day", "I live in Lyon"])
        monkeypatch.setattr("etalage.memory.database.WAIT_MS", 50)

        def slow(texts: Sequence[str]) -> np.ndarray:
            other.user("ann").forget(1)
            other.user("ann").learn(other.user("ann").get(2), [Fact("cat", "Tom", origin="model")])
            other.user("bob").write("I like tea")
            return encode(texts)

        monkeypatch.setattr(store.encoder, "encode", slow)
        rebuild(store)
        monkeypatch.undo()
        assert [memory.number for memory in ann.memories()] == [2, 3]
        assert [fact.predicate for fact in ann.facts()[0]] == ["cat", "lives_in"]
        assert verify(store) == []


TEXTS = st.sampled_from(
    [
        "I live in Lyon",
        "I moved to Nice",
        "I like jazz",
        "I don't like jazz",
        "My shoe size is 42",
        "My shoe size is 43",
        "I no longer live in Nice",
        "the weather is fine",
    ]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.data())
def test_what_is_forgotten_was_never_said(texts: list[str], data: st.DataObject) -> None:
    """Beliefs and answers after forgetting equal those of who never said it."""
    gone = data.draw(st.sets(st.integers(0, len(texts) - 1)))
    clock = Clock()
    with (
        tempfile.TemporaryDirectory() as folder,
        MemoryStore(f"{folder}/one.sqlite", clock=clock) as store,
        MemoryStore(f"{folder}/other.sqlite", clock=clock) as other,
    ):
        ann, bob = store.user("ann"), other.user("bob")
        for place, text in enumerate(texts):
            clock.now += 1000
            ann.write(text)
            if place not in gone:
                bob.write(text)
        ann.forget(*(place + 1 for place in gone))
        told = [[(b.predicate, b.object, b.polarity, b.since) for b in who.beliefs()]
                for who in (ann, bob)]  # fmt: skip
        assert told[0] == told[1]
        for question in ("where do I live?", "jazz", "shoe size"):
            answers = [[(hit.text, hit.score) for hit in who.read(question)] for who in (ann, bob)]
            assert answers[0] == answers[1]


def test_threads_read_while_others_write(store: MemoryStore) -> None:
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            mine = store.user(name)
            for at in range(30):
                mine.write(f"{name} says number {at}")
                hits = mine.read("number", k=100)
                assert len(hits) == at + 1
                assert all(hit.text.startswith(name) for hit in hits)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(f"user{at % 3}{at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_an_answer_is_of_one_moment_whatever_is_written_meanwhile(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is new takes the place of the old in the index, but is not in the view yet."""
    from etalage.memory import user

    ann, best = store.user("ann"), user.best
    ann.write("I live in Lyon")

    def move() -> None:
        ann.write("I moved to Nice")
        ann.read("where do I live?")

    moving = threading.Thread(target=move)

    def interrupted(*given: object) -> object:
        monkeypatch.undo()
        moving.start()
        moving.join(0.5)
        return best(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(user, "best", interrupted)
    assert [hit.text for hit in ann.read("where do I live?", k=1)] == ["I live in Lyon"]
    moving.join()
    assert [hit.text for hit in ann.read("where do I live?", k=1)] == ["I moved to Nice"]


def test_readers_wait_for_no_writer(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write("I like jazz")
    found: list[str] = []
    reading = threading.Thread(target=lambda: found.extend(h.text for h in ann.read("jazz")))
    with store.database.writing():
        reading.start()
        reading.join(10)
        assert found == ["I like jazz"]


def test_a_view_that_is_open_outlasts_its_store(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "m.sqlite")
    store.user("ann").write_many(["one", "two", "three"])
    view = store.view("ann")
    rows = view.__enter__()
    assert rows is not None
    assert rows.text(1) == "one"
    store.close()
    found = (tmp_path / "m.sqlite").stat()
    key = found.st_dev, found.st_ino
    assert key in PageFile._open, "a handle that is closed takes the locks of the view away"
    assert [rows.text(2), rows.text(3)] == ["two", "three"]
    view.__exit__(None, None, None)
    assert key not in PageFile._open
    assert store.user("ann").count() == 3


NAMES = ["ann", "bob", "cleo", "dan", "eve", "fay"]


def test_a_full_store_of_users_keeps_only_so_many_indices(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "m.sqlite", cache_mb=0.05) as store:
        for name in NAMES:
            store.user(name).write_many([f"{name} {at}" for at in range(20)])
        for name in NAMES + NAMES[:3]:
            assert len(store.user(name).read(name, k=50)) == 20
        assert len(store.shelf) < 4


def test_a_disk_that_is_full_keeps_what_was_there(store: MemoryStore) -> None:
    ann = store.user("ann")
    ann.write("the first")
    with store.database.outside() as run:
        pages = run("PRAGMA page_count")[0][0]
        run(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(CapacityError, match="full"):
        ann.write_many(f"{at} " + "text " * 5000 for at in range(100))
    n_kept = len(list(ann.memories()))
    assert verify(store) == []
    with store.database.outside() as run:
        run("PRAGMA max_page_count=1000000")
    assert (n_kept, ann.write("after")) == (1, 2)
    assert [hit.text for hit in ann.read("first")] == ["the first"]
