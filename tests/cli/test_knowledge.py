"""`etalage knowledge` as its page says: plan, run, use; out as a file, and back."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.language.conftest import server, tiny  # noqa: F401
from tests.language.server import Server
from tests.language.test_exchange import answered
from typer.testing import CliRunner

from etalage.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "language-models.md").read_text(encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:  # noqa: F811
    """The page's recipe on a small log; a server that has the page's model."""
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    rows = [f"u{u},f{(3 * u + i) % 9},{1_700_000_000 + 3600 * (24 * i + u)}\n"
            for u in range(12) for i in range(8)]  # fmt: skip
    Path("shop/log.csv").write_text("user,item,time\n" + "".join(rows))
    films = [f"f{n},Film number {n}\n" for n in range(9)]
    Path("shop/items.csv").write_text("item,title\n" + "".join(films))
    (recipe,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    recipe = recipe.replace("http://127.0.0.1:8000", server.url)
    Path("knowledge.yaml").write_text(recipe + "sampling: {max_tokens: 8, temperature: 0.9}\n")
    return server


def done(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["knowledge", *words])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_the_page_runs(shop: Server) -> None:
    commands = re.findall(r"^etalage knowledge ([^#\n]*)", PAGE, flags=re.MULTILINE)
    names = [command.split()[0] for command in commands]
    assert names == ["plan", "run", "texts", "export", "import"]
    said = {}
    for name, command in zip(names, commands, strict=True):
        words = command.split()
        if name == "export":  # with other answers than the live job's, for there are none to get
            words += ["--set", "answers=runs/batch"]
        if name == "import":
            answered(shop, Path("batch"), Path("results.jsonl"))
            words += ["--set", "answers=runs/batch"]
        said[name] = done(*words)
    assert "to ask 9" in said["plan"]
    assert "cost, estimated 0.00" in said["plan"]
    assert "answered 9 " in said["run"]
    assert f"tokens read {shop.prompt_tokens:,}" in said["run"]
    assert f"tokens written {shop.completion_tokens:,}" in said["run"]
    assert "9 texts, of which 9 are answers" in said["texts"]
    header, *lines = [json.loads(line) for line in Path("texts.jsonl").read_text().splitlines()]
    assert (header["etalage_texts"], header["about"], len(header["log"])) == (1, "items", 16)
    assert [line["id"] for line in lines] == [f"f{n}" for n in range(9)]
    assert "batch: 9 requests in 1 files" in said["export"]
    assert "answered 9 " in said["import"]
    done("texts", "knowledge.yaml", "other.jsonl", "--set", "answers=runs/batch")
    assert Path("other.jsonl").read_text() == Path("texts.jsonl").read_text()


def test_a_limit_stops_and_the_same_command_goes_on(shop: Server) -> None:
    assert "stopped by --max-requests" in done("run", "knowledge.yaml", "--max-requests", "4")
    assert "stopped by --max-cost" in done("run", "knowledge.yaml", "--max-cost", "0")
    assert "answered already 4" in done("plan", "knowledge.yaml")
    assert "asked 5 answered 5" in done("run", "knowledge.yaml")
    assert set(shop.answered.values()) == {1}


def test_users_are_asked_about_by_what_they_chose(shop: Server) -> None:
    # of twelve people some have the same history, and so the same question
    assert "answered 6 " in done("run", "knowledge.yaml", "--set", "about=users")
    told = [json.loads(body["messages"][1]["content"].split("\n")[1]) for body in shop.bodies]
    assert all(set(facts) == {"history"} for facts in told)
    assert max(len(facts["history"]) for facts in told) < 8, "the last choices are to be guessed"
    away = ["--set", "about=users", "--set", "server=http://shop.invalid"]
    away += ["--set", "sampling.seed=1"]
    assert "is another machine" in done("run", "knowledge.yaml", *away, code=1)


def test_a_model_in_a_folder_needs_no_server(shop: Server, tiny: Any) -> None:  # noqa: F811
    local = ["--set", "server=null", "--set", f"model={tiny._model.config._name_or_path}"]
    local += ["--set", "prices={}"]
    assert "to ask 9" in done("plan", "knowledge.yaml", *local)
    assert "answered 9 " in done("run", "knowledge.yaml", *local)
    assert shop.calls == 0
    assert "batch files are for a model on a server" in done(
        "export", "knowledge.yaml", "out", *local, code=1
    )


def test_mistakes_are_named(shop: Server) -> None:
    for change, said in [
        ("domain=movie", "did you mean 'movies'?"),
        ("modell=x", "unknown key; did you mean 'model'?"),
        ("model=qwen2.5", "no price of 'qwen2.5'; did you mean 'qwen2.5-7b'?"),
        ("server=localhost", "the address of a server is http://HOST:PORT"),
        ("api_key_env=NO_SUCH_KEY", "NO_SUCH_KEY is not set"),
    ]:
        assert said in done("run", "knowledge.yaml", "--set", change, code=1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = done("run", "knowledge.yaml", "--set", f"server={gone}", code=1)
    assert f"error: cannot reach {gone}" in said
    assert "0 of 9 answers are kept in runs/answers" in said
    assert "there is no recipe" in done("plan", "nowhere.yaml", code=1)
    Path("shop/items.csv").unlink()
    assert "have no titles" in done("plan", "knowledge.yaml", code=1)
