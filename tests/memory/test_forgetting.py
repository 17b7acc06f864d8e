"""What is forgotten is found nowhere in the files, whatever happens meanwhile."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import apsw
import numpy as np
import pytest
from tests.memory.conftest import Clock

from etalage.memory.facts import Fact
from etalage.memory.scrubbing import PageFile
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import verify


def needles(store: MemoryStore, name: str, text: str) -> list[bytes]:
    """Forms in which a text could lie on the disk: in every encoding, whole and by its longest
    word, its vector and its words as the store keeps them."""
    from etalage.memory.index import hashed_words, searched

    word = max(text.split(), key=len)
    forms = [part.encode(how) for part in (text, word, word.lower(), word.upper())
             for how in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")]  # fmt: skip
    with store.view(name) as rows:
        assert rows is not None
        forms.append(rows.sealed_vector(store.encoder.encode([text])[0]))
        forms.append(hashed_words(searched(text), rows.person.salt).tobytes())
    return forms


def on_disk(path: Path, forms: list[bytes]) -> list[bytes]:
    """Which of them are in the file, its log, or any file beside it."""
    content = b"\n".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
    return [form for form in forms if form in content]


def secret(rng: random.Random) -> str:
    """A text that nothing else holds, of any length: short ones share a page, long ones fill it."""
    word = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=24))
    return f"I like {word} " + " ".join(
        rng.choices(["red", "blue", "green"], k=rng.choice([1, 9, 4000]))
    )


def test_the_needles_are_there_before(tmp_path: Path) -> None:
    """Otherwise the tests below would find nothing for want of looking right."""
    with MemoryStore(tmp_path / "m.sqlite") as store:
        text = secret(random.Random(0))
        store.user("ann").write(text)
        found = on_disk(tmp_path / "m.sqlite", needles(store, "ann", text))
    assert len(found) == 5  # the text, its word, the same in lower case, vector and words


@pytest.mark.parametrize("how", ["one by one", "at once", "erase", "expire"])
def test_forgotten_bytes_are_gone(tmp_path: Path, clock: Clock, how: str) -> None:
    from etalage.memory.upkeep import expire

    rng, path = random.Random(len(how)), tmp_path / "m.sqlite"
    with MemoryStore(path, clock=clock) as store:
        ann, texts = store.user("ann"), [secret(rng) for _ in range(40)]
        for at, text in enumerate(texts):
            until = clock.now + 5 if how == "expire" and at % 2 else None
            ann.write(Statement(text, until=until, meta={"note": text[:40]}))
            store.user(f"user {at % 5}").write(secret(rng))
        gone = texts[1::2] if how != "erase" else texts
        forms = [form for text in gone for form in needles(store, "ann", text)]
        if how == "one by one":
            receipts = [ann.forget(number) for number in range(2, 41, 2)]
        elif how == "at once":
            receipts = [ann.forget(*range(2, 41, 2))]
        elif how == "erase":
            receipts = [ann.erase()]
        else:
            clock.now += 5
            receipts = [expire(store)]
        assert sum(receipt.n_memories for receipt in receipts) == len(gone)
        assert all(receipt.is_scrubbed for receipt in receipts)
        assert on_disk(path, forms) == []
        assert verify(store) == []
        if how != "erase":
            assert [memory.text for memory in ann.memories()] == texts[::2]


def test_forgotten_bytes_are_gone_while_others_read_and_write(tmp_path: Path) -> None:
    path, stop = tmp_path / "m.sqlite", threading.Event()
    problems: list[BaseException] = []

    def load(name: str) -> None:
        rng = random.Random(name)
        try:
            while not stop.is_set():
                store.user(name).write(secret(rng))
                store.user(name).read("red things that I like")
                list(store.user(name).memories())
        except BaseException as error:
            problems.append(error)

    with MemoryStore(path) as store:
        threads = [threading.Thread(target=load, args=(name,)) for name in ("bob", "cleo")]
        for thread in threads:
            thread.start()
        rng, ann = random.Random(1), store.user("ann")
        for _ in range(15):
            text = secret(rng)
            number = ann.write(text)
            forms = needles(store, "ann", text)
            ann.read(text[:50])
            receipt = ann.forget(number)
            assert receipt.is_scrubbed
            assert on_disk(path, forms) == []
        stop.set()
        for thread in threads:
            thread.join()
        assert problems == []
        assert verify(store) == []


def test_after_an_erasure_nothing_of_the_user_is_left_in_any_table(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "m.sqlite") as store:
        ann = store.user("ann")
        ann.write(Statement("I like jazz", facts=(Fact("likes", "jazz"),), key="k"))
        ann.read("jazz", actor="test")
        ann.erase()
        with store.database.reading() as run:
            for table in ("user", "memory", "text", "fact", "audit"):
                assert run(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]


def test_a_view_that_began_before_does_not_hold_up_the_writer_for_good(tmp_path: Path) -> None:
    """Another reader in the middle of a view: the receipt says so, and the next act scrubs."""
    path = tmp_path / "m.sqlite"
    with MemoryStore(path) as store, MemoryStore(path) as other:
        ann, text = store.user("ann"), secret(random.Random(3))
        number = ann.write(text)
        forms = needles(store, "ann", text)
        with other.database.reading() as run:
            run("SELECT count(*) FROM memory").fetchall()
            store.database.scrub_seconds = 0.05
            receipt = ann.forget(number)
            assert (receipt.n_memories, receipt.is_scrubbed) == (1, False)
        assert store.scrub()
        assert on_disk(path, forms) == []


@pytest.mark.parametrize("error", [OSError(28, "no space"), apsw.FullError("full")])
def test_a_disk_that_fails_after_forgetting_does_not_say_that_nothing_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*given: object) -> None:
        raise error

    path, text = tmp_path / "m.sqlite", secret(random.Random(5))
    with MemoryStore(path) as store:
        ann = store.user("ann")
        number = ann.write(text)
        forms = needles(store, "ann", text)
        with monkeypatch.context() as broken:
            broken.setattr(PageFile, "clear_gaps", failing)
            receipt = ann.forget(number)
            assert (receipt.n_memories, receipt.is_scrubbed) == (1, False)
            assert not store.scrub()
        assert ann.count() == 0
        assert ann.forget(number).is_scrubbed
        assert on_disk(path, forms) == []
        monkeypatch.setattr(PageFile, "clear_gaps", failing)  # and closing is no error then


def test_an_index_in_memory_forgets_too(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "m.sqlite") as store:
        ann = store.user("ann")
        ann.write_many(["I like jazz", "I like opera"])
        assert len(ann.read("like")) == 2
        ann.forget(1)
        assert len(store.shelf) == 0
        assert [hit.number for hit in ann.read("jazz opera")] == [2]
        with store.view("ann") as rows:
            assert rows is not None
            with store.shelf.index(rows) as index:
                pass
        assert len(index) == len(index.facts) == 1
        assert np.count_nonzero(np.linalg.norm(index.vectors, axis=1)) == 1
