"""`etalage memory`: what one types, what one reads, what is in the file afterwards."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.cli.test_extras import without
from tests.conftest import Exported
from typer.testing import CliRunner

from etalage.cli.main import app
from etalage.memory.store import MemoryStore, now_ms
from etalage.memory.tokens import holder


def run(*words: object, stdin: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["memory", *map(str, words)], input=stdin)
    return done.exit_code, done.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "memory.sqlite"
    with MemoryStore(path, clock=lambda: 1_700_000_000_000) as store:
        store.user("ann").write_many(["I live in Lyon", "I'm allergic to nuts", "My size is 42"])
    return path


def test_what_is_written_is_read_shown_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    assert run("write", path, "ann", "I live in Lyon", "--said-at", "2026-01-31") == (0, "#1\n")
    assert run("write", path, "ann", stdin="I like tea\n\nMy size is 42\n") == (0, "#2\n#3\n")
    code, text = run("read", path, "ann", "where do I live?")
    assert code == 0
    assert "#1 " in text
    assert "2026-01-31 00:00  I live in Lyon" in text
    code, text = run("show", path, "ann", "-n", 1)
    assert "user  lives_in  Lyon  (100%, 2026-01-31 00:00, #1)" in text
    assert "#3 " in text
    assert "user: I like tea" not in text
    assert run("forget", path, "ann", 1, 99) == (0, "forgotten: 1 memories, 1 facts\n")
    assert run("read", path, "ann", "where do I live?") == (0, "")
    assert run("forget", path, "ann", "--everything")[1].startswith("forgotten: 2 memories")
    assert run("show", path, "ann") == (0, "")


def test_what_held_then_is_asked_by_a_date(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    run("write", path, "ann", "I live in Lyon", "--said-at", "2026-01-01")
    run("write", path, "ann", "I live in Nice", "--said-at", "2026-03-01T12:00+02:00")
    assert "Nice" in run("read", path, "ann", "where do I live?")[1]
    assert "Lyon" in run("read", path, "ann", "where do I live?", "--as-of", "2026-02-01")[1]
    assert "Lyon" in run("show", path, "ann", "-n", 1, "--as-of", "2026-02-01")[1].splitlines()[0]
    assert "2026-03-01 10:00" in run("show", path, "ann")[1]


def test_a_reminder_is_printed_within_its_budget(file: Path) -> None:
    code, text = run("read", file, "ann", "what am I allergic to?", "--budget", 100)
    assert code == 0
    assert "I'm allergic to nuts" in text
    assert "<data>" in text
    assert run("read", file, "ann", "zebra", "--budget", 100) == (0, "")


def test_an_export_is_a_file_or_what_is_printed(file: Path, tmp_path: Path) -> None:
    code, text = run("export", file, "ann")
    assert code == 0
    assert [json.loads(line).get("number") for line in text.splitlines()] == [None, 1, 2, 3]
    out = tmp_path / "ann.jsonl"
    assert run("export", file, "ann", out) == (0, f"{out}\n")
    assert out.stat().st_mode & 0o077 == 0
    assert [json.loads(line)["text"] for line in out.read_text().splitlines()[1:]] == [
        "I live in Lyon", "I'm allergic to nuts", "My size is 42"]  # fmt: skip


def test_a_file_is_counted_and_checked(file: Path) -> None:
    code, text = run("stats", file)
    assert code == 0
    assert text.splitlines()[:3] == ["users        1", "memories     3", "facts        3"]
    assert run("verify", file) == (0, f"{file}: whole\n")
    with MemoryStore(file) as store, store.database.writing() as write:
        write("UPDATE audit SET actor = 'me'")
    code, text = run("verify", file)
    assert code == 1
    assert "the trail of user 1 was changed" in text


def test_a_token_names_a_user_for_a_while(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    code, text = run("token", "ann", "--key-file", key, "--days", 2)
    assert code == 0
    now, day = now_ms(), 86_400_000
    assert holder(key.read_bytes(), text.strip(), now + day) == "ann"
    assert holder(key.read_bytes(), text.strip(), now + 3 * day) is None
    assert holder(b"x" * 16, text.strip(), now) is None


def test_a_memory_with_a_key_needs_it(tmp_path: Path) -> None:
    path, key, other = tmp_path / "m.sqlite", tmp_path / "key", tmp_path / "other"
    key.write_bytes(b"k" * 32)
    other.write_bytes(b"o" * 32)
    assert run("write", path, "ann", "I like tea", "--key-file", key)[0] == 0
    assert "tea" in run("show", path, "ann", "--key-file", key)[1]
    for words in ([], ["--key-file", other]):
        code, text = run("show", path, "ann", *words)
        assert code == 1
        assert "key" in text
        assert "tea" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "nowhere", "ann"], "there is no memory nowhere"),
        (["verify", "notes.txt"], "damaged or no memory"),
        (["show", "m.sqlite", " "], "a user is named by a text"),
        (["write", "m.sqlite", "ann", " "], "nothing to remember"),
        (["write", "m.sqlite", "ann", "a", "--source", "me"], "got 'me'"),
        (["write", "m.sqlite", "ann", "a", "--said-at", "soon"], "--said-at is a time as"),
        (["write", "m.sqlite", "ann", "a", "--said-at", "2999-01-01"], "days ahead of the clock"),
        (["write", "no/where", "ann", "a"], "there is no folder no"),
        (["read", "m.sqlite", "ann", "a", "--as-of", "1"], "--as-of is a time as"),
        (["read", "m.sqlite", "ann", " "], "the question is empty"),
        (["read", "m.sqlite", "ann", "a b", "--budget", "5"], "give at least 100"),
        (["forget", "m.sqlite", "ann"], "name the memories to forget"),
        (["forget", "m.sqlite", "ann", "1", "--everything"], "name the memories to forget"),
        (["token", "ann", "--key-file", "nowhere"], "no key can be read from nowhere"),
        (["token", "ann", "--key-file", "notes.txt"], "holds 5 bytes; a key has at least 16"),
        (["token", " ", "--key-file", "key"], "a user is named by a text"),
        (["serve", "m.sqlite", "--key-file", "nowhere"], "no key can be read from nowhere"),
        (["serve", "m.sqlite", "--key-file", "key"], "the key is not the one"),
    ],
)
def test_a_mistake_ends_in_a_message(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "key").write_bytes(b"k" * 32)
    with MemoryStore("m.sqlite") as store:
        store.user("ann").write("I like tea")
    code, text = run(*words)
    assert code == 1
    assert message in text.replace("\n", " ")
    assert "Traceback" not in text


def test_texts_cannot_move_the_cursor(file: Path) -> None:
    with MemoryStore(file) as store:
        store.user("ann").write("\x1b[2J\x1b]0;owned\x07 I like\r\n\x00 tea")
    text = run("show", file, "ann")[1] + run("read", file, "ann", "tea?")[1]
    assert not {"\x1b", "\x07", "\r", "\x00"} & set(text)


def test_a_memory_is_served_with_its_key(tmp_path: Path, exported: Exported) -> None:
    code, text = 1, ""
    for words in (["--memory", tmp_path / "m"], ["--key-file", tmp_path / "key"]):
        done = CliRunner().invoke(app, ["serve", str(exported.folder), *map(str, words)])
        code, text = done.exit_code, done.output
        assert code == 1
        assert "give both --memory and --key-file" in text.replace("\n", " ")


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path) -> None:
    done = without("apsw", "popularity", "memory", "stats", __file__)
    assert done.returncode == 1
    assert "this needs 'apsw'" in done.stderr
    assert "pip install 'etalage[memory]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_of_its_own_starts_answers_and_stops(tmp_path: Path) -> None:
    """The process has no torch, no catalogue; what was acknowledged is there after it is killed."""
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bearer = {"authorization": f"Bearer {run('token', 'ann', '--key-file', key)[1].strip()}"}

    def ask(path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, bearer)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(json.loads(answer.read()))

    code = (
        "import sys\nfrom etalage.cli.main import app\n"
        "import uvicorn\nrun = uvicorn.run\n"
        "def light(*given, **named):\n"
        "    heavy = {'torch', 'scipy', 'polars', 'pandas', 'onnxruntime', 'sklearn'}\n"
        "    assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "    run(*given, **named)\n"
        "uvicorn.run = light\napp()\n"
    )
    command = [sys.executable, "-c", code, "memory", "serve", str(tmp_path / "m.sqlite"),
               "--key-file", str(key), "--port", str(port)]  # fmt: skip
    for start in (1, 2):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                for _ in range(400):
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    try:
                        ask("/healthz")
                        break
                    except urllib.error.URLError:
                        time.sleep(0.05)
                assert ask("/memory", {"text": f"start {start}"})["numbers"] == [start]
                assert ask("/memory")["n_memories"] == start
            finally:
                process.send_signal(signal.SIGKILL)
    assert run("verify", tmp_path / "m.sqlite", "--key-file", key)[0] == 0


def test_simulated_users_are_the_same_for_a_seed_and_checked(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    code, text = run("simulate", one, "--users", 8, "--seed", 3, "--language", "en", "--check")
    assert code == 0
    assert "8 users" in text
    assert "0 faults" in text
    assert run("simulate", other, "--users", 8, "--seed", 3, "--language", "en")[0] == 0
    assert one.read_bytes() == other.read_bytes()
    assert len(one.read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("option", "value"), [("--domain", "war"), ("--language", "xx"), ("--noise", 2000)]
)
def test_a_wrong_simulation_is_named(tmp_path: Path, option: str, value: object) -> None:
    code, text = run("simulate", tmp_path / "x.jsonl", option, value)
    assert code == 1
    assert f"error: {option}" in text
    assert not (tmp_path / "x.jsonl").exists()


def test_memories_are_compared_on_simulated_users_and_go_on(tmp_path: Path) -> None:
    users, lines = tmp_path / "users.jsonl", tmp_path / "runs" / "lines.jsonl"
    assert run("simulate", users, "--users", 4, "--language", "en")[0] == 0
    command = ("bench", users, "-m", "none", "-m", "oracle", "--lines", lines)
    code, text = run(*command)
    assert code == 0
    recall = next(line for line in text.splitlines() if "recall@5" in line)
    assert re.findall(r"\d?\.\d+(?= ±)", recall) == [".000", "1.000"]
    size = lines.stat().st_size
    assert run(*command) == (0, text)
    assert lines.stat().st_size == size


def test_a_wrong_comparison_is_named(tmp_path: Path) -> None:
    code, text = run("bench", "-m", "orakel", "--lines", tmp_path / "l.jsonl")
    assert (code, "did you mean 'oracle'" in text) == (1, True)
    code, text = run("bench", "--encoder", "hashing", "--lines", tmp_path / "l.jsonl")
    assert (code, "use ngrams" in text) == (1, True)
    code, text = run("bench", tmp_path / "nowhere.txt", "--lines", tmp_path / "l.jsonl")
    assert (code, "nowhere.txt" in text) == (1, True)
