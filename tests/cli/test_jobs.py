"""Commands of the main job: what they print, what they leave, and how they fail."""

import json
import os
from pathlib import Path

import pytest
from tests.conftest import Exported
from typer.testing import CliRunner

from etalage.cli.main import app
from etalage.tokenize.semantic_ids import SemanticIds

SMALL = ["--set", "data.simulated.users=60", "--set", "data.simulated.items=40"]
MIXED = "{kind: ensemble, members: [{kind: fm}, {kind: dnn, widht: 3}]}"


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(w) for w in words])
    return done.exit_code, done.output


def test_tokenize_shows_health_and_writes_ids(tmp_path: Path) -> None:
    code, text = run("tokenize", *SMALL, "--set", "tokens.n_codes=4", "--out", tmp_path / "ids.npz")
    assert code == 0, text
    assert "collision rate" in text
    assert len(SemanticIds.load(tmp_path / "ids.npz")) == 40


def test_items_nested_as_a_shop_publishes_them_are_spelled(tmp_path: Path) -> None:
    rows = [f"u{n % 30},{n % 20},{1_700_000_000 + 9 * n}\n" for n in range(600)]
    (tmp_path / "log.csv").write_text("user,asin,time\n" + "".join(rows))
    items = [
        {"asin": n, "title": f"thing {n}", "categories": [["Beauty", f"c{n % 4}"], [n]],
         "description": [n, n + 1]}
        for n in range(20)
    ]  # fmt: skip
    (tmp_path / "items.jsonl").write_text("".join(f"{json.dumps(i)}\n" for i in items))
    code, text = run("tokenize", tmp_path / "log.csv", "--set", "tokens.n_codes=4",
                     "--set", "data.core=1")  # fmt: skip
    assert code == 0, text
    assert "thing 0" in text


def test_export_copies_a_checked_bundle(exported: Exported, tmp_path: Path) -> None:
    code, text = run("export", exported.folder.parent, tmp_path / "live")
    assert code == 0, text
    assert "simulated shop, model" in text
    (tmp_path / "live" / "items.json").write_text("{}")
    (tmp_path / "run").mkdir()
    (tmp_path / "live").rename(tmp_path / "run" / "bundle")
    code, text = run("export", tmp_path / "run", tmp_path / "again")
    assert code == 1
    assert "items.json" in text
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(("said", "n"), [("3", 3), ("4,2", 4), ("many", None), (None, None)])
def test_doctor_counts_the_cores_that_are_used(
    said: str | None, n: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    _, text = run("doctor")
    assert f"of which {n or 1} are used" in text
    assert ("OMP_NUM_THREADS=many is no number" in text) == (said == "many")


def test_doctor_finds_parts_and_problems(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n" + "a,b,1700000000\n" * 3)
    code, text = run("doctor", tmp_path / "log.csv")
    assert code == 0
    assert "torch 2" in text
    assert "duplicate" in text
    assert "future" not in text
    (tmp_path / "log.csv").write_text("user,item,time\na,b,1700000000\na,c,9700000000\n")
    code, text = run("doctor", tmp_path / "log.csv")
    assert "1 time lies in the future; the latest is 2277-05-19" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "nowhere.yaml"], "there is no recipe nowhere.yaml"),
        (["train", "."], "give the YAML file of a recipe"),
        (["demo", "--out", "notes.txt"], "notes.txt is a file; choose another folder"),
        (["reproduce", "ctr", "--out", "notes.txt"], "notes.txt is a file; choose another folder"),
        (["demo", "--out", "notes.txt/run"], "notes.txt is a file; choose another folder"),
        (["demo", "--set", "models.sasrec=3"], "models.sasrec: Input should be a valid dictionary"),
        (["demo", "--set", "seed=-1"], "seed: Input should be greater than or equal to 0"),
        (["demo", "--data", "nowhere.csv"], "nowhere.csv"),
        (["demo", "--set", "sed=1"], "did you mean 'seed'"),
        (["report", "nowhere"], "etalage demo"),
        (["serve", "nowhere"], "there is no folder nowhere; give that of a run"),
        (["export", "nowhere", "there"], "there is no folder nowhere; give that of a run"),
        (["serve", "."], "no bundle in ."),
        (["train", "empty.yaml"], "empty.yaml is empty"),
        (["demo", "--set", "models.mine={kind: sasrec, width: wide}"], "models.mine.width: "),
        (
            ["demo", "--set", "ranking.ranker={kind: dnn, widht: 3}"],
            "ranking.ranker.widht: unknown",
        ),
        (
            [
                "demo",
                "--set",
                "ranking.ranker={kind: ensemble, members: [{kind: fm}, {kind: dnn, widht: 3}]}",
            ],
            "ensemble.members.1.widht: unknown key; did you mean 'width'?",
        ),
    ],
)
def test_a_mistake_ends_in_a_message(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty.yaml").write_text("")
    code, text = run(*words)
    assert code == 1
    assert message in text.replace("\n", " ")
    assert "Traceback" not in text
