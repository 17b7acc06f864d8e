"""What the README, the docs and the examples say can be done, is done here."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = ["--set", "data.core=1", "--set", "models.sasrec.training.epochs=1",
         "--set", "models.tiger.training.epochs=1"]  # fmt: skip
TARGETS = {"demo", "claims", "test", "venv", "lint", "docs", "bench"}


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)


def test_the_readme_is_short() -> None:
    assert README.count("\n") < 150


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/your-data.md",
        "docs/text-encoders.md",
        "docs/language-models.md",
        "docs/memory.md",
        "docs/creatives.md",
    ],
)
def test_python_in_the_pages_runs(
    page: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks((ROOT / page).read_text(encoding="utf-8"), "python"))
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out


def test_commands_in_the_readme_run(tmp_path: Path) -> None:
    rng_free = [f"u{u},p{(3 * u + i) % 40},{1_700_000_000 + 3600 * (24 * i + u)}\n"
                for u in range(60) for i in range(12)]  # fmt: skip
    (tmp_path / "shop.csv").write_text("user,item,time\n" + "".join(rng_free))
    ran = 0
    for line in "\n".join(blocks(README, "bash")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in TARGETS
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        elif words[:2] == ["etalage", "serve"]:
            continue  # never ends; tests/serve has it
        elif words:
            more = SMALL if words[1] == "demo" else []
            done = subprocess.run(
                [sys.executable, "-m", *words, *more], cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr[-3000:]
            ran += 1
    assert ran >= 3
    assert (tmp_path / "runs" / "shop" / "report.html").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_settings_are_written_and_links_lead_somewhere() -> None:
    build = runpy.run_path(str(ROOT / "docs" / "build.py"))
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == build["settings"](), "run make docs"
    assert build["broken_links"]() == []
