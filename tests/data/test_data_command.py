"""`etalage data` from the outside: what one types, what one gets."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from etalage.cli.data import app
from etalage.data.ingest import open_dataset
from etalage.errors import CapacityError, DataError

LOG = "visitor,product,when,stars\n" + "".join(
    f"u{u},p{i},{1_700_000_000 + 60 * u + i},{i % 5}\n" for u in range(8) for i in range(u + 1)
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text(LOG)
    return path


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_log_is_imported_described_and_drawn(log: Path, tmp_path: Path) -> None:
    shop, svg = tmp_path / "shop", tmp_path / "shop.svg"
    assert "8 users, 8 items, 36 interactions" in run(
        "import", log, shop, "--time", "when", "--terms", "ours"
    )
    assert open_dataset(shop).manifest["terms"] == "ours"
    text = run("describe", shop, "--picture", svg)
    assert "2023-11-14" in text
    assert "no problems found" in text
    assert ElementTree.fromstring(svg.read_text()).tag.endswith("svg")
    assert json.loads(run("describe", shop, "--json"))["n_interactions"] == 36
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clicks.csv", "shop", "shop.svg"]


def test_the_core_is_imported(log: Path, tmp_path: Path) -> None:
    assert "4 users, 5 items, 20 interactions" in run(
        "import", log, tmp_path / "core", "--time", "when", "--user-events", 5, "--item-events", 4
    )


def test_a_click_log_is_imported_with_what_was_shown(tmp_path: Path) -> None:
    log, shop = tmp_path / "log.csv", tmp_path / "shop"
    log.write_text("user,item,time,label\na,x,1700000000,1\na,y,1700000000,0\nb,y,1700000009,1\n")
    assert "2 interactions of 3 impressions" in run("import", log, shop, "--clicked", "label")
    assert "3, 66.7 % clicked" in run("describe", shop)
    assert "3 interactions, from" in run("import", log, shop)


def test_what_is_wrong_is_said_and_nothing_is_written(log: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot tell which column .* is the time; .*--time"):
        run("import", log, tmp_path / "shop")
    with pytest.raises(CapacityError, match="cannot write"):
        run("describe", log, "--time", "when", "--picture", tmp_path / "no" / "shop.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["clicks.csv"]


def test_help_reads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from etalage.cli.data import app\n"
        "assert CliRunner().invoke(app, ['import', '--help']).exit_code == 0\n"
        "assert not {'torch', 'polars', 'numpy', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
