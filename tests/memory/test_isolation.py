"""Nobody sees anything of anybody else: random acts of many users against plain dicts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from etalage.errors import DataError
from etalage.memory.statement import Statement
from etalage.memory.store import MemoryStore
from etalage.memory.upkeep import stats, verify

N_USERS, N_ACTS = 50, 10_000
WORDS = [f"word{at}" for at in range(40)]


class World:
    """What each user should have: texts by number."""

    def __init__(self, store: MemoryStore, seed: int) -> None:
        self.store, self.rng = store, random.Random(seed)
        self.kept: dict[str, dict[int, str]] = {f"user {at}": {} for at in range(N_USERS)}
        self.last = dict.fromkeys(self.kept, 0)
        self.n_hits = self.n_written = 0

    def text(self, name: str) -> str:
        self.n_written += 1
        chosen = " ".join(self.rng.choices(WORDS, k=5))
        return f"{chosen} canary{name.replace(' ', '')} {self.n_written}"

    def act(self) -> None:
        name = self.rng.choice(list(self.kept))
        choice = self.rng.random()
        if choice < 0.3:
            self.write([name])
        elif choice < 0.33:
            self.write(self.rng.choices(list(self.kept), k=8))
        elif choice < 0.8:
            self.read(name)
        elif choice < 0.9:
            self.get(name)
        elif choice < 0.96:
            self.forget(name)
        elif choice < 0.98:
            self.erase(name)
        else:
            self.list(name)

    def write(self, names: list[str]) -> None:
        said = [(name, Statement(self.text(name))) for name in names]
        numbers = self.store.write_many(said)
        for (name, statement), number in zip(said, numbers, strict=True):
            self.last[name] += 1
            assert number == self.last[name]
            self.kept[name][number] = statement.text

    def read(self, name: str) -> None:
        other = self.rng.choice(list(self.kept)).replace(" ", "")
        question = f"{' '.join(self.rng.choices(WORDS, k=2))} canary{other}"
        mine = self.kept[name]
        hits = self.store.user(name).read(question, k=1000)
        asked = set(question.lower().split())
        assert all(mine[hit.number] == hit.text for hit in hits)
        with_word = {number for number, text in mine.items() if asked & set(text.split())}
        assert with_word <= {hit.number for hit in hits}
        self.n_hits += len(hits)

    def get(self, name: str) -> None:
        number = self.rng.randrange(1, 60)
        if number in self.kept[name]:
            assert self.store.user(name).get(number).text == self.kept[name][number]
        else:
            with pytest.raises(DataError, match="there is no memory"):
                self.store.user(name).get(number)

    def forget(self, name: str) -> None:
        numbers = self.rng.sample(range(1, 60), 3)
        receipt = self.store.user(name).forget(*numbers)
        gone = [self.kept[name].pop(number, None) for number in numbers]
        assert receipt.n_memories == sum(text is not None for text in gone)

    def erase(self, name: str) -> None:
        receipt = self.store.user(name).erase()
        assert receipt.n_memories == len(self.kept[name])
        self.kept[name], self.last[name] = {}, 0

    def list(self, name: str) -> None:
        mine = {memory.number: memory.text for memory in self.store.user(name).memories()}
        assert mine == self.kept[name]


def test_ten_thousand_acts_of_fifty_users_never_meet(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "m.sqlite", cache_mb=0.5) as store:
        with store.database.outside() as run:
            run("PRAGMA synchronous=OFF")  # the disk is not what is tested here
        world = World(store, seed=7)
        for _ in range(N_ACTS):
            world.act()
        for name in world.kept:
            world.list(name)
        assert stats(store)["n_memories"] == sum(map(len, world.kept.values()))
        assert world.n_hits > 10_000
        assert verify(store) == []


def test_no_statement_on_memories_is_without_the_range_of_a_user() -> None:
    """Of all that the handle of a user does, so that none can be written without it."""
    import re

    from etalage.memory import rows, shelf, store, trail, user

    for module in (user, rows, shelf, trail, store):
        assert module.__file__
        source = Path(module.__file__).read_text()
        source = re.sub(r'"\s*\n\s*f?"', "", source)  # statements over several lines
        for statement in re.findall(r'"((?:SELECT|DELETE|UPDATE)[^"]*)"', source):
            if re.search(r"\b(memory|text|fact|audit|\{table\})\b", statement):
                assert re.search(r"\b(id BETWEEN \? AND \?|id = \?|key = \?)", statement), statement
