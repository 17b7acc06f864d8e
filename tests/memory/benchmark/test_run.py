"""A run: what it counts, in which order it writes and asks, and how it goes on after a kill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.memory.benchmark.talks import ANN, BOB, HOUR, START, talk

from etalage.errors import DataError
from etalage.language.ngrams import NgramEncoder
from etalage.memory.benchmark.mechanisms import Everything, Kept, maker
from etalage.memory.benchmark.readers import ProgramReader, Stale
from etalage.memory.benchmark.report import Report
from etalage.memory.benchmark.run import GROUP, bench, run
from etalage.memory.simulate.stream import SimulatorConfig, simulate
from etalage.memory.trajectory import Message, Question, write


class Leaky(Kept):
    """Forgets whose message is whose, and forgets nothing."""

    def read(self, user: str, question: Question, k: int) -> list[str]:
        return [message.id for said in self.messages.values() for message in said][:k]

    def forget(self, user: str, messages: Sequence[str]) -> None:
        pass


class Noted(Everything):
    """Notes what it is told and asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.folder = folder
        (folder / "log.txt").touch()

    def write(self, user: str, messages: Sequence[Message]) -> None:
        self.notes += [f"{user} says {message.id}" for message in messages]
        with (self.folder / "log.txt").open("a") as file:
            file.writelines(message.text for message in messages)
        super().write(user, messages)

    def read(self, user: str, question: Question, k: int) -> list[str]:
        self.notes.append(f"{user} asks {question.id}")
        return super().read(user, question, k)


def test_figures_of_two_users_by_hand(tmp_path: Path) -> None:
    report = run([ANN, BOB], {name: maker(name) for name in ("none", "oracle", "recent", "full")},
                 tmp_path / "rows.jsonl")  # fmt: skip
    assert report.value("none", "recall@5") == 0
    assert report.value("oracle", "recall@5") == 1
    assert report.value("recent", "mrr") == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
    assert report.value("full", "mrr") == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert report.sides["full"].n_messages == 5
    assert report.value("none", "tokens") == 0
    assert report.value("oracle", "tokens") == pytest.approx((5 + 6 + 8) / 3)  # 4 letters make one
    assert "accuracy" not in report.sides["oracle"].whole  # no question has a program


def test_a_memory_that_mixes_users_up_and_keeps_what_is_forgotten_is_found_out(
    tmp_path: Path,
) -> None:
    side = run([ANN, BOB], {"leaky": lambda _: Leaky()}, tmp_path / "rows.jsonl").sides["leaky"]
    assert side.whole["leak"].value == 1
    assert side.residue["n_forgotten"] == side.residue["n_returned"] == 2


def test_forgotten_texts_are_looked_for_in_files(tmp_path: Path) -> None:
    """Ann forgets two messages; a log has both, the store has none."""
    makers = {"noted": Noted, "etalage": maker("etalage")}
    report = run([ANN, BOB], makers, tmp_path / "rows.jsonl")
    left = {"n_forgotten": 2, "n_returned": 0, "n_looked_for": 2}
    assert report.sides["noted"].residue == left | {"n_on_disk": 2}
    assert report.sides["etalage"].residue == left | {"n_on_disk": 0}


def test_a_question_is_asked_when_everybody_has_said_what_was_said_before_it(
    tmp_path: Path,
) -> None:
    early = replace(ANN.questions[0], time=START + 1 * HOUR)
    ann = replace(ANN, questions=(ANN.questions[1], early))
    made: list[Noted] = []

    def make(folder: Path) -> Noted:
        made.append(Noted(folder))
        return made[-1]

    run([ann, BOB], {"noted": make}, tmp_path / "rows.jsonl")
    assert made[0].notes[:8] == [
        "ann says ann/0", "ann says ann/1", "bob says bob/0", "bob says bob/1",
        "ann asks ann/q0", "bob asks bob/q0", "ann says ann/2", "ann asks ann/q1",
    ]  # fmt: skip


def test_the_same_call_goes_on_where_a_kill_ended_it(tmp_path: Path) -> None:
    lines = tmp_path / "rows.jsonl"
    users = [talk(f"u{n}", ["I like tea", "I like cups"], ("tea", {0})) for n in range(GROUP + 2)]
    asked: list[str] = []

    class Counted(Everything):
        def read(self, user: str, question: Question, k: int) -> list[str]:
            asked.append(user)
            return super().read(user, question, k)

    makers = {"counted": lambda _: Counted()}
    whole = run(users, makers, lines).to_dict()
    kept = lines.read_bytes().splitlines(keepends=True)
    assert len(kept) == GROUP + 2
    lines.write_bytes(b"".join(kept[:GROUP]) + kept[GROUP][:40])  # a line cut off
    asked.clear()
    again = run(users, makers, lines).to_dict()
    assert set(asked) == {f"u{GROUP}", f"u{GROUP + 1}"}
    for result in (whole, again):
        del result["counted"]["write_us"], result["counted"]["kinds"]
    assert again == whole
    asked.clear()
    run(users, makers, lines)
    assert not asked


def test_another_text_is_asked_again(tmp_path: Path) -> None:
    lines = tmp_path / "rows.jsonl"
    run([ANN], {"full": maker("full")}, lines)
    other = replace(ANN, messages=(replace(ANN.messages[0], text="Hello"), *ANN.messages[1:]))
    run([other], {"full": maker("full")}, lines)
    assert len(lines.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("users", "k", "said"),
    [
        ([ANN], 5, "at least 10"),
        ([ANN, ANN], 10, "two trajectories are of user 'ann'"),
        ([ANN, replace(BOB, messages=ANN.messages)], 10, "have one id"),
    ],
)
def test_what_cannot_be_compared_is_said(
    users: list[object], k: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        run(users, {"full": maker("full")}, tmp_path / "rows.jsonl", k=k)  # type: ignore[arg-type]


def test_simulated_users_are_answered_right_from_the_evidence_and_never_without(
    tmp_path: Path,
) -> None:
    users = list(simulate(SimulatorConfig(), n_users=8))
    report = run(users, {name: maker(name) for name in ("none", "oracle", "etalage")},
                 tmp_path / "rows.jsonl")  # fmt: skip
    assert report.value("oracle", "accuracy") == 1
    must = report.value("none", "accuracy")
    told = [asked.answer is None for each in users for asked in each.questions]
    assert must == pytest.approx(sum(told) / len(told))
    assert report.value("none", "abstention recall") == 1
    assert must < report.value("etalage", "accuracy") < 1.01
    assert report.value("etalage", "leak") == 0
    assert report.value("oracle", "stale") == 0


def test_a_stale_answer_is_counted(tmp_path: Path) -> None:
    """Of an update only what was said first comes back."""

    class First(Everything):
        def read(self, user: str, question: Question, k: int) -> list[str]:
            wanted = set().union(*question.evidence)
            said = [message for message in self.messages[user] if message.id not in wanted]
            return [message.id for message in said]

    config = SimulatorConfig(questions={"update": 1}, languages=("en",))
    users = list(simulate(config, n_users=10))
    report = run(users, {"first": lambda _: First()}, tmp_path / "rows.jsonl")
    assert report.value("first", "stale") > 0.5
    assert report.value("first", "accuracy") < 0.5


def test_what_changes_later_makes_nothing_stale_before() -> None:
    config = SimulatorConfig(questions={"update": 1}, languages=("en",))
    (user,) = (each for each in simulate(config, n_users=1))
    (asked,) = user.questions
    stale = Stale(user.messages, ProgramReader())
    old = stale.answers(asked)
    assert old
    changed = min(said.time for said in user.messages if {said.id} in asked.evidence)
    (before,) = old
    assert not stale.answers(replace(asked, time=changed - 1, answer=before))


def test_costs_of_users_are_weighed_by_what_they_said() -> None:
    line = {"mechanism": "m", "source": "s", "rows": [], "residue": {}}
    lines = [line | {"user": "a", "n_messages": 3, "write_us": 10.0},
             line | {"user": "b", "n_messages": 1, "write_us": 50.0}]  # fmt: skip
    assert Report.of_lines(lines).sides["m"].write_us == 20


def test_the_report_is_json_and_tables(tmp_path: Path) -> None:
    report = run([ANN, BOB], {"full": maker("full")}, tmp_path / "rows.jsonl")
    assert json.loads(json.dumps(report.to_dict()))["full"]["n_messages"] == 5
    console = Console(record=True, width=200, file=(tmp_path / "out").open("w"))
    console.print(report.table(), report.kinds())
    text = console.export_text()
    assert "recall@5" in text
    assert "full" in text
    assert Report.of_lines([]).to_dict() == {}


def test_the_entry_reads_a_file_of_trajectories_and_names_encoders(tmp_path: Path) -> None:
    write(tmp_path / "talks.jsonl", [ANN, BOB])
    report = bench(tmp_path / "talks.jsonl", ["full", "etalage"], tmp_path / "rows.jsonl")
    assert set(report.sides) == {"full", "etalage"}
    with pytest.raises(DataError, match="no folder of MemDaily"):
        bench(tmp_path / "talks.csv", ["full"], tmp_path / "rows.jsonl")


def test_rows_of_one_encoder_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    """Two sentence encoders have one first word in their fingerprints."""

    class Sentences(NgramEncoder):
        def __init__(self, weights: str) -> None:
            super().__init__(16)
            self.fingerprint = f"transformer {weights}"

    write(tmp_path / "talks.jsonl", [ANN, BOB])
    names = [
        name
        for weights in ("a", "b")
        for name in bench(
            tmp_path / "talks.jsonl",
            ["encoder"],
            tmp_path / "rows.jsonl",
            encoder=Sentences(weights),
        ).sides
    ]
    assert len(set(names)) == 2
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4


def test_rows_of_one_reader_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    class Sayer(ProgramReader):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    for name in ("a", "a", "b"):
        run([ANN], {"full": maker("full")}, tmp_path / "rows.jsonl", reader=Sayer(name))
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2
